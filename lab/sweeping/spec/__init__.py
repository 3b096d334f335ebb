"""The specification of a sweep: its typed description, the configurations it stands for, and what can be checked beforehand."""
