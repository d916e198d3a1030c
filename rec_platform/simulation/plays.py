"""What people play: pages, choices, watch times, deliveries, in waves of one play per session."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from rec_platform.simulation.config import WorldConfig
from rec_platform.simulation.localtime import DAY_MS, HOUR_MS, Ints, day_number
from rec_platform.simulation.policy import Days
from rec_platform.simulation.sessions import Sessions
from rec_platform.simulation.truth import Bools, Floats, Singles, Truth, engagement_probability

#: Columns of rows, as plain arrays of equal length. Times in ms, watched in tenths of a second, codes for names.
Rows = dict[str, npt.NDArray[Any]]
#: How wide they are kept until they are delivered: a day of a large world is held in memory.
WIDTHS: Final = {
    "profile": np.int32, "title": np.int32, "event": np.int8, "start": np.int64, "received": np.int64,
    "country": np.int16, "watched": np.int32, "device": np.int8, "session": np.int64, "request": np.int64,
    "surface": np.int8, "row": np.int16, "position": np.int16, "propensity": np.float64,
}  # fmt: skip

PLAY, SHOWN = 0, 1
EVENTS: Final = ("play", "shown")
HOME, SEARCH, DETAIL = 0, 1, 2
SURFACES: Final = ("home", "search", "detail")
#: Of 100 plays off the continue-watching row 82 come from home, 10 from search, 8 from a detail page.
SURFACE_EDGES: Final = (0.82, 0.92)
MOBILE: Final = 1
#: Titles of the continue-watching row: the last series titles the profile engaged with, and how likely each is taken.
MEMORY: Final = 3
MEMORY_PULL: Final = np.log(np.array([0.6, 0.25, 0.15], dtype=np.float32))
#: Attention falls from row to row and from position to position.
ROW_ATTENTION, POSITION_ATTENTION = 0.85, 0.93
#: Rests between the plays of a session and between sessions, ms.
REST: Final = (20_000, 300_000)
BETWEEN_SESSIONS: Final = 35 * 60_000
#: A play delivered this much after it ended counts as late.
LATE_FROM: Final = HOUR_MS
CHUNK: Final = 8_192


@dataclass
class State:
    """What carries over from play to play: recent series titles and the end of the last play, per profile; counters."""

    memory: Ints
    busy_until: Ints
    n_requests: int = 0
    n_sessions: int = 0

    @classmethod
    def new(cls, n_profiles: int) -> State:
        return cls(np.full((n_profiles, MEMORY), -1, dtype=np.int64), np.zeros(n_profiles, dtype=np.int64))

    def remember(self, profile: Ints, title: Ints) -> None:
        """Move a title to the front of each profile's memory (profiles are distinct)."""
        old = self.memory[profile]
        kept = np.argsort(old == title[:, None], axis=1, kind="stable")[:, : MEMORY - 1]
        self.memory[profile] = np.column_stack([title, np.take_along_axis(old, kept, axis=1)])


def log_attention(config: WorldConfig) -> Singles:
    """(page slots): log of the attention a slot gets; slot s is row s // positions, position s % positions."""
    rows, positions = np.divmod(np.arange(config.page_slots), config.page_positions)
    return np.asarray(rows * np.log(ROW_ATTENTION) + positions * np.log(POSITION_ATTENTION), dtype=np.float32)


def plays_of(truth: Truth, days: Days, sessions: Sessions, state: State, rng: np.random.Generator) -> Iterator[Rows]:
    """All rows of the sessions of a day, in chunks. A profile's sessions and plays happen one after the other."""
    number = state.n_sessions + np.arange(len(sessions.profile))
    state.n_sessions += len(sessions.profile)
    for nth in range(int(sessions.nth.max(initial=-1)) + 1):
        of_wave = np.flatnonzero(sessions.nth == nth)
        at = np.maximum(sessions.start[of_wave], state.busy_until[sessions.profile[of_wave]] + BETWEEN_SESSIONS)
        on_time = at < (days.first + 1) * DAY_MS
        of_wave, at = of_wave[on_time], at[on_time]
        for play in range(int(sessions.plays[of_wave].max(initial=0))):
            goes_on = (sessions.plays[of_wave] > play) & _can_play(truth, days, sessions.country[of_wave], at)
            of_wave, at = of_wave[goes_on], at[goes_on]
            for lower in range(0, len(at), CHUNK):
                part = of_wave[lower : lower + CHUNK]
                scene = Scene.of(truth, days, sessions.profile[part], sessions.country[part], at[lower : lower + CHUNK])
                yield from scene.play(number[part], state, rng)
            at = state.busy_until[sessions.profile[of_wave]] + rng.integers(*REST, len(at))


def _can_play(truth: Truth, days: Days, country: Ints, at: Ints) -> Bools:
    """Whether anybody can play then: inside the world, not on its empty day, and something is offered there."""
    config, day = truth.config, at // DAY_MS - day_number(truth.config.start)
    offered: Bools = np.asarray(days.offered.any(axis=1))[_scene_number(truth, days, country, at)]
    return np.asarray((day < config.days) & (day != config.empty_day) & offered)


def _scene_number(truth: Truth, days: Days, country: Ints, at: Ints) -> Ints:
    return (at // DAY_MS - days.first) * len(truth.config.countries) + country


@dataclass(frozen=True)
class Page:
    """Pages, one per context: titles and their true utility, both (n, slots), and the mixture they were drawn from."""

    titles: Ints
    worth: Singles
    shares: Floats


@dataclass(frozen=True)
class Scene:
    """n contexts in which somebody chooses: distinct profiles, each in a country at an instant."""

    truth: Truth
    days: Days
    profile: Ints
    country: Ints
    at: Ints
    number: Ints
    weights: Singles

    @classmethod
    def of(cls, truth: Truth, days: Days, profile: Ints, country: Ints, at: Ints) -> Scene:
        number = _scene_number(truth, days, country, at)
        return cls(truth, days, profile, country, at, number, truth.weights(profile, country, at))

    def utility(self, titles: Ints, rows: Ints | slice = slice(None)) -> Singles:
        """(n, m): true utility of m titles to each context (or to those of `rows`)."""
        dots = np.einsum("nmd,nd->nm", self.truth.title_vectors[titles], self.weights[rows])
        fresh = self.days.fresh[self.number[rows][:, None], titles]
        return np.asarray(dots + self.truth.titles.quality[titles] + fresh)

    def play(self, session: Ints, state: State, rng: np.random.Generator) -> Iterator[Rows]:
        """The rows of one play in each context, then those of other titles shown; `state` moves on."""
        shares = self.days.shares(self.truth.people.taste[self.profile], self.number)
        titles = self.days.draw(shares, self.number, self.truth.config.page_slots, rng)
        page = Page(titles, self.utility(titles), shares)
        slot = np.argmax(page.worth + log_attention(self.truth.config) + rng.gumbel(size=titles.shape), axis=1)
        choice = self._browsed(page, slot, rng)
        again = self._continue(choice, state, rng)
        rows = choice | self._watched(choice["title"], choice.pop("utility"), rng)
        rows |= {"session": session, "request": state.n_requests + np.arange(len(session))}
        state.n_requests += len(session)
        self._move_on(rows, rows.pop("engaged"), state)
        yield narrow(rows)
        if self.truth.config.shown_per_play:
            browsed = np.setdiff1d(np.flatnonzero(choice["surface"] != SEARCH), again)
            yield narrow(self._shown(rows, page, slot, browsed))

    def _browsed(self, page: Page, slot: Ints, rng: np.random.Generator) -> Rows:
        """The title in the chosen slot of each page, where it stood and with which propensity."""
        title = _pick(page.titles, slot)
        surface = np.searchsorted(SURFACE_EDGES, rng.random(len(slot)), side="right")
        row, position = _place(surface, slot, self.truth.config.page_positions)
        propensity = self._propensity(page, np.arange(len(slot)), title[:, None])[:, 0]
        propensity[surface == SEARCH] = np.nan
        return {
            "title": title, "utility": _pick(page.worth, slot), "surface": surface,
            "row": row, "position": position, "propensity": propensity,
        }  # fmt: skip

    def _propensity(self, page: Page, rows: Ints, titles: Ints) -> Floats:
        return self.days.propensity(page.shares[rows], self.number[rows], titles, self.truth.titles.genres)

    def _continue(self, choice: Rows, state: State, rng: np.random.Generator) -> Ints:
        """Replace the choices of those who go on with a series instead, and return their rows."""
        wish = np.flatnonzero(rng.random(len(self.at)) < self.truth.people.rewatch[self.profile])
        recent = state.memory[self.profile[wish]]
        offered = (recent >= 0) & self.days.offered[self.number[wish][:, None], recent]
        possible = offered.any(axis=1)
        wish, recent, offered = wish[possible], recent[possible], offered[possible]
        worth = self.utility(recent, wish)
        place = np.argmax(np.where(offered, worth + MEMORY_PULL + rng.gumbel(size=worth.shape), -np.inf), axis=1)
        instead = {
            "title": _pick(recent, place), "utility": _pick(worth, place), "surface": HOME,
            "row": 0, "position": place, "propensity": 1.0,
        }  # fmt: skip
        for name, values in instead.items():
            choice[name][wish] = values
        return wish

    def _watched(self, title: Ints, utility: Singles, rng: np.random.Generator) -> Rows:
        n, people = len(title), self.truth.people
        device = (rng.random((n, 1), dtype=np.float32) >= people.devices[self.profile][:, :-1]).sum(axis=1)
        likely = engagement_probability(utility, device == MOBILE)
        engaged = rng.random(n) < likely
        watched = watched_tenths(self.truth.titles.runtime_s[title], engaged, likely, rng)
        received = self.at + 100 * watched + _delay(self.truth.config, n, rng)
        return {
            "profile": self.profile, "title": title, "event": np.zeros(n, dtype=np.int64), "start": self.at,
            "received": received, "country": self.country, "watched": watched, "device": device, "engaged": engaged,
        }  # fmt: skip

    def _move_on(self, rows: Rows, engaged: Bools, state: State) -> None:
        state.busy_until[self.profile] = self.at + 100 * rows["watched"]
        kept = engaged & self.truth.titles.series[rows["title"]]
        state.remember(self.profile[kept], rows["title"][kept])

    def _shown(self, rows: Rows, page: Page, slot: Ints, browsed: Ints) -> Rows:
        """Rows of event `shown` for the first other slots of the page of each browsed play."""
        count = self.truth.config.shown_per_play
        chosen = np.arange(page.titles.shape[1]) == slot[browsed][:, None]
        others = np.argsort(chosen, axis=1, kind="stable")[:, :count]
        title = np.take_along_axis(page.titles[browsed], others, axis=1)
        out: Rows = {name: np.repeat(values[browsed], count) for name, values in rows.items()}
        row, position = _place(out["surface"], others.ravel(), self.truth.config.page_positions)
        return out | {
            "title": title.ravel(), "propensity": self._propensity(page, browsed, title).ravel(), "row": row,
            "position": position, "event": np.full(title.size, SHOWN), "watched": np.zeros(title.size, dtype=np.int64),
        }  # fmt: skip


def narrow(rows: Rows) -> Rows:
    """The columns of `WIDTHS`, in that order and that wide."""
    return {name: rows[name].astype(width) for name, width in WIDTHS.items()}


def watched_tenths(runtime_s: Ints, engaged: Bools, likely: Floats, rng: np.random.Generator) -> Ints:
    """Tenths of a second watched, such that a play is engaged iff it lasted 70 % of the runtime or ten minutes.

    An engaged play ends somewhere between that threshold and the end, the later the likelier engagement was; another
    ends evenly before the threshold.
    """
    threshold = np.minimum(7 * runtime_s, 6_000)
    draw = rng.random(len(runtime_s))
    beyond = np.floor((10 * runtime_s - threshold) * draw ** (1.2 - likely))
    return np.asarray(np.where(engaged, threshold + beyond, np.floor(threshold * draw)), dtype=np.int64)


def _delay(config: WorldConfig, n: int, rng: np.random.Generator) -> Ints:
    """Milliseconds from the end of a play to its delivery: about a minute for most, hours to days for the late ones."""
    prompt = np.clip(rng.lognormal(np.log(60_000), 0.8, n), 1_000, LATE_FROM // 2)
    late = np.minimum(LATE_FROM + rng.lognormal(np.log(6 * HOUR_MS), 1.3, n), config.late_max_days * DAY_MS)
    return np.asarray(np.where(rng.random(n) < config.late_share, late, prompt), dtype=np.int64)


def _place(surface: Ints, slot: Ints, positions: int) -> tuple[Ints, Ints]:
    """Row and position of a slot: below the continue-watching row at home, one long row elsewhere."""
    at_home = surface == HOME
    return np.where(at_home, 1 + slot // positions, 0), np.where(at_home, slot % positions, slot)


def _pick(values: npt.NDArray[Any], column: Ints) -> npt.NDArray[Any]:
    return values[np.arange(len(values)), column]
