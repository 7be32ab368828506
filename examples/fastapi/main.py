"""The web application."""

from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import BackgroundTasks, Depends, FastAPI, Header, Request
from tasks import charge

from clues.fastapi import CluesMiddleware, clues_lifespan

CARD = "4111111111111111"


@asynccontextmanager
async def lifespan(app):
    """The application's own."""
    yield {"currency": "EUR"}


app = FastAPI(lifespan=clues_lifespan(lifespan))
app.add_middleware(CluesMiddleware)


async def authenticate(request: Request, x_user: Annotated[int | None, Header()] = None):
    """Stands for your log-in."""
    request.state.user_id = x_user


@app.post("/orders/{total}", dependencies=[Depends(authenticate)])
def place(total: int, request: Request):
    return {"job": charge.delay(total, CARD).id, "currency": request.state.currency}


@app.post("/async/orders/{total}", dependencies=[Depends(authenticate)])
async def place_async(total: int):
    return {"job": charge.delay(total, CARD).id}


@app.post("/later/orders/{total}")
async def place_later(total: int, tasks: BackgroundTasks):
    tasks.add_task(charge.delay, total, CARD)
    return {}
