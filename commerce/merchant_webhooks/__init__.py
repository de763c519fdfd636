"""Messages to merchants' own systems: order.paid and the like, signed by the Standard Webhooks specification, sent until they arrive."""
