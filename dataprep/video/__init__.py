"""Video files as upright frames with times; face detection, tracking and contact sheets."""
