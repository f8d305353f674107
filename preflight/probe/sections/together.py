"""Several pieces of work at once, each a value or "could not be seen"."""

import sys
import threading

from .base import Unseen


class Piece(threading.Thread):
    """One piece of work. unseen: why there is no value; a failure of our own is one too, told without its content."""

    def __init__(self, name, work):
        threading.Thread.__init__(self, daemon=True)
        self.piece, self.work = name, work
        self.value = None
        self.unseen = None

    def run(self):
        try:
            self.value = self.work()
        except Unseen as unseen:
            self.unseen = unseen
        except Exception as error:
            self.unseen = our_fault(error)


def our_fault(error):
    """An exception nobody foresaw, by its kind and place alone: its text may hold what it tripped over."""
    frame = sys.exc_info()[2]
    while frame.tb_next is not None:
        frame = frame.tb_next
    place = "%s in %s, line %d of the probe" % (type(error).__name__, frame.tb_frame.f_code.co_name, frame.tb_lineno)
    return Unseen("the probe failed: " + place, "report this as a fault of the suite")


def together(work, deadline):
    """name -> value or Unseen, for name -> function; what is not ready by the deadline is Unseen."""
    pieces = [Piece(name, function) for name, function in work.items()]
    for piece in pieces:
        piece.start()
    results = {}
    for piece in pieces:
        piece.join(deadline.left())
        if piece.is_alive():
            results[piece.piece] = Unseen("no answer within the deadline", "a longer --command-timeout")
        else:
            results[piece.piece] = piece.value if piece.unseen is None else piece.unseen
    return results


def wrapped(result):
    """A value or Unseen as it stands in an answer where both can."""
    if isinstance(result, Unseen):
        return {"unknown": result.reason, "remedy": result.remedy}
    return {"value": result}
