//! Second factors: enrolling them, believing or refusing what somebody shows, and counting failures.
