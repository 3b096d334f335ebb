"""What is measured at an evaluation point, and where the points are."""
