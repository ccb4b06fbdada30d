import asyncio
from dataclasses import dataclass

import lambdamesh


@dataclass
class Order:
    item: str
    count: int = 1


class Shop:
    def __init__(self):
        self._left = {"pear": 3, "plum": 1}

    async def order(self, order: Order) -> int:
        """Take so many of an item; answer how many are left."""
        left = self._left.get(order.item, 0)
        if left < order.count:
            raise lambdamesh.LambdaError(f"there is not enough {order.item}", data={"left": left})
        self._left[order.item] = left - order.count
        return self._left[order.item]

    async def about_call(self) -> dict:
        """Tell what a handler may know of its call."""
        call = lambdamesh.current()
        return {"method": call.method, "streams": call.wants_stream, "hurry": call.remaining_s < 10}


async def main():
    async with lambdamesh.connect() as mesh:
        fn = await mesh.expose(Shop())
        print("id", fn.id, flush=True)
        await fn.wait_ended()


asyncio.run(main())
