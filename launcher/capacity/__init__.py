"""How many replicas and connections a load needs, from what requests were measured to cost."""
