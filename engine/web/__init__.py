"""The page: an instrument in the browser, served by a process of its own."""
