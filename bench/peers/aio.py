"""The questions of ../*.lua for Python's asyncio: aio.py QUESTION N

It prints the CPU time per operation in nanoseconds, or what the question asks
for. (A file named asyncio.py would hide the module.)
"""

import asyncio
import math
import random
import resource
import sys
import time

LIMIT = 100
JOBS = 1000


async def nothing():
    pass


async def spawn(n):
    for _ in range(n // LIMIT):
        await asyncio.gather(*[asyncio.create_task(nothing()) for _ in range(LIMIT)])


async def spawn_wait(n):
    for _ in range(n):
        await asyncio.create_task(nothing())


async def nap():
    await asyncio.sleep(random.random())


async def sleep(n):
    await asyncio.gather(*[asyncio.create_task(nap()) for _ in range(n)])


async def doze():
    await asyncio.sleep(0.5 + random.random() / 2)


async def memory(n):
    with open("/proc/self/statm") as statm:
        before = int(statm.read().split()[1]) * resource.getpagesize()
    tasks = [asyncio.create_task(doze()) for _ in range(n)]
    for task in tasks:
        await task
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return f"{(peak - before) / n:.0f}"


async def switch(n):
    there, back = asyncio.Queue(1), asyncio.Queue(1)

    async def pong():
        for _ in range(n):
            await back.put(await there.get())

    task = asyncio.create_task(pong())
    for i in range(n):
        await there.put(i)
        assert await back.get() == i
    await task


async def yielding(n):
    async def body():
        for _ in range(n // JOBS):
            await asyncio.sleep(0)

    await asyncio.gather(*[asyncio.create_task(body()) for _ in range(JOBS)])


async def cancel(n):
    tasks = [asyncio.create_task(asyncio.sleep(3600)) for _ in range(n)]
    await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def lateness(n):
    samples = []
    for _ in range(n):
        seconds = 0.0005 + random.random() * 0.0095
        began = time.monotonic()
        await asyncio.sleep(seconds)
        samples.append((time.monotonic() - began - seconds) * 1e3)
    samples.sort()
    median, late = (samples[math.ceil(s * n) - 1] for s in (0.5, 0.99))
    return f"{median:.4f} {late:.4f} {samples[0]:.4f}"


QUESTIONS = {
    "spawn": spawn,
    "spawn_wait": spawn_wait,
    "sleep": sleep,
    "memory": memory,
    "switch": switch,
    "yield": yielding,
    "cancel": cancel,
    "lateness": lateness,
}


def main():
    question, n = QUESTIONS[sys.argv[1]], int(sys.argv[2])
    random.seed(1)
    began = time.process_time()
    answer = asyncio.run(question(n))
    print(answer or f"{(time.process_time() - began) * 1e9 / n:.1f}")


main()
