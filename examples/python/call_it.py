import asyncio
import sys

import lambdamesh


async def main(lambda_id):
    async with lambdamesh.connect() as mesh:
        print(await mesh.call(lambda_id, "hello", "Ada", timeout=5))
        async for number in mesh.stream(lambda_id, "count", 3):
            print(number)
        try:
            await mesh.call(lambda_id, "hello", 5)
        except lambdamesh.CallError as error:
            print(error.code, error.delivered, error)


asyncio.run(main(sys.argv[1]))
