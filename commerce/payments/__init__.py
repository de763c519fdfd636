"""Taking money: one small provider interface, the sandbox provider, and the cashier with its one `settle`."""
