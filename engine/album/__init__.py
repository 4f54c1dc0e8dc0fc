"""Albums: made many songs at a time, weeded by measure and by ear, and finished."""
