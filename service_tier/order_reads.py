"""Reads of orders from the repository tier, whose answers nobody decodes who need not."""

from __future__ import annotations

import grpc

from arcana.repository.v1 import order_repository_pb2 as pb
from tier_runtime.wire import serialized_answers

_ORDERS = "/arcana.repository.v1.OrderRepository"


class OrderReads:
    """Reads orders over a channel of `open_channel`. All methods raise AppError."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._get = serialized_answers(channel, f"{_ORDERS}/GetOrder", pb.GetOrderRequest)
        self._list = serialized_answers(channel, f"{_ORDERS}/ListOrders", pb.ListOrdersRequest)

    def get(self, order_id: str) -> bytes:
        """Return the answer of GetOrder."""
        return self._get(pb.GetOrderRequest(order_id=order_id))

    def list(self, request: pb.ListOrdersRequest) -> bytes:
        """Return the answer of ListOrders."""
        return self._list(request)
