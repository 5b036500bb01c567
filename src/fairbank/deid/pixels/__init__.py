"""What images show: text that is burned into pixels is found, blanked and reviewed. Faces are in `faces/`."""
