"""Gold computed a second time, straight from the raw files, with numpy and pandas and both clocks.

It follows the words of the design and of the contracts in YAML, never the project's SQL: where the
two differ, one of them is wrong. A decimal is kept as an integer, scaled by 10 to the power of its
scale, dates and timestamps as microseconds since 1970, so that every comparison is exact.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads
import yaml

PROJECT = Path(__file__).resolve().parents[2]
MICROSECONDS_OF_AN_HOUR = 3_600_000_000
MONEY, RATIO = 2, 6
RECENCY_REACH_DAYS = 730

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Frame = pd.DataFrame


@dataclass(frozen=True)
class Rules:
    """The vars of the project that decide what a cell holds."""

    churn_definition: str = "subscription"
    inactivity_days: int = 180
    grace_days: int = 30
    label_delay_days: int = 0
    windows: tuple[int, ...] = (1, 7, 14, 30, 60, 90, 180, 365)
    login_actions: tuple[str, ...] = ("login",)
    known_until: str | None = None


@dataclass(frozen=True)
class Seeds:
    """The seeds that gold reads."""

    cohorts: Frame
    value_tiers: Frame
    onboarding_steps: Frame
    lexicon: Mapping[str, tuple[int, str | None]]
    urgency: Mapping[str, int]


@dataclass(frozen=True)
class World:
    """Every valid row once, by entity, and who the customers are (codes 0 to n - 1)."""

    entities: Mapping[str, Frame]
    customers: Sequence[str]
    feature_count: int
    data_until: pd.Timestamp


@dataclass
class Cells:
    """The columns of one as-of date, one value an observation; scale 0 unless told."""

    columns: dict[str, Any] = field(default_factory=dict)
    scales: dict[str, int] = field(default_factory=dict)

    def put(self, name: str, values: Any, scale: int = 0) -> None:
        """Keep one column."""
        self.columns[name] = values
        self.scales[name] = scale


# ---- arithmetic ----------------------------------------------------------------------------------


def divide(numerator: int, denominator: int | None) -> int | None:
    """Quotient, rounded half away from zero; None when the denominator is 0 or None.

    >>> divide(5, 2), divide(-5, 2), divide(7, 3), divide(1, 0)
    (3, -3, 2, None)
    """
    if denominator is None or denominator == 0:
        return None
    if denominator < 0:
        numerator, denominator = -numerator, -denominator
    quotient = (2 * abs(numerator) + denominator) // (2 * denominator)
    return quotient if numerator >= 0 else -quotient


def quotients(
    numerators: Iterable[Any], denominators: Iterable[Any], factor: int = 1
) -> list[int | None]:
    """One `divide` a pair, the numerator times `factor`, in unbounded integers."""
    return [
        divide(int(top) * factor, None if pd.isna(bottom) else int(bottom))
        if not pd.isna(top)
        else None
        for top, bottom in zip(numerators, denominators, strict=True)
    ]


def ratios(numerators: Iterable[Any], denominators: Iterable[Any]) -> list[int | None]:
    """Ratios as decimal(18,6), scaled to integers."""
    return quotients(numerators, denominators, 10**RATIO)


def days(moments: pd.Series) -> pd.Series:
    """Midnight of each moment."""
    return moments.dt.floor("D")


def span(number: int) -> pd.Timedelta:
    """So many days."""
    return pd.Timedelta(days=number)


# ---- raw to bronze -------------------------------------------------------------------------------


@functools.cache
def contract(entity: str) -> dict[str, dict[str, Any]]:
    """Columns of an entity in the input contract: name -> type and meta."""
    text = (PROJECT / "models" / "bronze" / "_bronze.yml").read_text(encoding="utf-8")
    model = next(m for m in yaml.safe_load(text)["models"] if m["name"] == f"bronze_{entity}")
    return {
        column["name"]: {"type": column["data_type"], **column.get("config", {}).get("meta", {})}
        for column in model["columns"]
        if column["name"] != "built_from"
    }


def _scale(data_type: str) -> int:
    """Digits behind the point of a decimal type, else 0."""
    found = re.match(r"decimal\(\d+,\s*(\d+)\)", data_type)
    return int(found.group(1)) if found else 0


def _column(values: pa.ChunkedArray, data_type: str) -> pd.Series:
    """One raw column as Int64 (decimals scaled), datetime64[us], boolean or object."""
    scale = _scale(data_type)
    if scale:
        scaled = pc.multiply(values, pa.scalar(Decimal(10**scale)))
        return scaled.cast(pa.int64()).to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)
    if data_type in ("integer", "bigint"):
        return values.cast(pa.int64()).to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)
    if data_type == "timestamp":
        return values.cast(pa.timestamp("us")).to_pandas().astype("datetime64[us]")
    if data_type == "boolean":
        return values.to_pandas(types_mapper={pa.bool_(): pd.BooleanDtype()}.get)
    return pd.Series(values.to_pylist(), dtype=object)


def read_raw(raw: Path, entity: str) -> Frame:
    """All raw rows of an entity: a Parquet file or a folder of them; none when there is neither."""
    columns = contract(entity)
    place = raw / f"{entity}.parquet"
    place = place if place.exists() else raw / entity
    empty = {
        "string": pa.string(), "timestamp": pa.timestamp("us"),
        "boolean": pa.bool_(), "integer": pa.int32(),
    }  # fmt: skip
    if place.exists():
        files = [place] if place.is_file() else sorted(place.glob("*.parquet"))
        table = pa.concat_tables(
            [pads.dataset(file).to_table() for file in files], promote_options="permissive"
        )
    else:
        table = pa.table({
            name: pa.array([], empty.get(meta["type"], pa.decimal128(18, _scale(meta["type"]))))
            for name, meta in columns.items()
        })  # fmt: skip
    return Frame({name: _column(table[name], meta["type"]) for name, meta in columns.items()})


def valid_rows(rows: Frame, columns: Mapping[str, Mapping[str, Any]]) -> Frame:
    """Rows with all required values, no event later than known, no value outside its range."""
    broken = np.zeros(len(rows), dtype=bool)
    for name, meta in columns.items():
        values = rows[name]
        if meta.get("is_required"):
            broken |= values.isna().to_numpy()
        if meta.get("clock") == "event":
            broken |= (values > rows["known_at"]).to_numpy()
        unit = 10 ** _scale(meta["type"])
        if "min" in meta:
            broken |= (values < meta["min"] * unit).fillna(False).to_numpy(dtype=bool)
        if "max" in meta:
            broken |= (values > meta["max"] * unit).fillna(False).to_numpy(dtype=bool)
    return rows[~broken]


def bronze(raw: Path, entity: str, known_until: pd.Timestamp | None) -> Frame:
    """Every valid row once: a fact by its id, a version by its id and the moment it was known."""
    columns = contract(entity)
    key = next(name for name, meta in columns.items() if meta.get("is_key"))
    rows = valid_rows(read_raw(raw, entity), columns)
    if known_until is not None:
        rows = rows[rows["known_at"] < known_until]
    is_fact = entity in ("activity", "orders")
    others = [name for name in columns if name not in (key, "known_at")]
    # Between rows of one key that became known at the same moment the words name no winner.
    rows = rows.sort_values([key, "known_at", *others], kind="stable", na_position="last")
    rows = rows.drop_duplicates([key] if is_fact else [key, "known_at"], keep="first")
    return rows.rename(columns={key: "id"}).reset_index(drop=True)


def read_world(raw: Path, rules: Rules) -> World:
    """Bronze of all seven entities, with the end of every version's truth (`known_to`)."""
    until = None if rules.known_until is None else pd.Timestamp(rules.known_until)
    names = ("customers", "subscriptions", "activity", "tickets", "invoices", "orders", "touches")
    entities = {name: bronze(raw, name, until) for name in names}
    entities["customers"]["customer_id"] = entities["customers"]["id"]
    known = sorted(set().union(*(set(rows["customer_id"]) for rows in entities.values())))
    codes = {name: code for code, name in enumerate(known)}
    for name, rows in entities.items():
        rows["customer"] = rows["customer_id"].map(codes).astype("int64")
        if name not in ("activity", "orders"):
            rows["known_to"] = rows.groupby("id")["known_at"].shift(-1)
    activity = entities["activity"]
    features = sorted(set(activity["feature"].dropna()))
    activity["feature_code"] = (
        activity["feature"].map({f: n for n, f in enumerate(features)}).fillna(-1)
    )
    activity["feature_code"] = activity["feature_code"].astype("int64")
    activity["is_login"] = activity["action"].isin(rules.login_actions)
    newest = max(rows["known_at"].max() for rows in entities.values() if len(rows))
    return World(entities, known, len(features), newest if until is None else until)


def read_seeds(folder: Path) -> Seeds:
    """The five seeds."""
    lexicon = pd.read_csv(folder / "ticket_lexicon.csv", keep_default_na=False)
    intents = pd.read_csv(folder / "ticket_intents.csv")
    tiers = pd.read_csv(folder / "value_tiers.csv", dtype=str, keep_default_na=False)
    return Seeds(
        cohorts=pd.read_csv(folder / "cohorts.csv"),
        value_tiers=tiers,
        onboarding_steps=pd.read_csv(folder / "onboarding_steps.csv"),
        lexicon={
            word: (int(mood), intent or None)
            for word, mood, intent in zip(
                lexicon["word"], lexicon["sentiment"], lexicon["intent"], strict=True
            )
        },
        urgency=dict(zip(intents["intent"], intents["urgency"], strict=True)),
    )


# ---- what an observer sees at D ------------------------------------------------------------------


def versions_at(rows: Frame, moment: pd.Timestamp) -> Frame:
    """The newest version of each id among those known before `moment`."""
    is_newest = rows["known_to"].isna() | (rows["known_to"] >= moment)
    return rows[(rows["known_at"] < moment) & is_newest]


def facts_at(rows: Frame, moment: pd.Timestamp, clock: str, reach_days: int) -> Frame:
    """Facts known before `moment` that happened in the `reach_days` before it."""
    happened = rows[clock]
    visible = (rows["known_at"] < moment) & (happened < moment)
    return rows[visible & (happened >= moment - span(reach_days))]


def within(values: pd.Series, moment: pd.Timestamp, length: int) -> Flags:
    """Whether each moment lies in [moment - length days, moment)."""
    return ((values >= moment - span(length)) & (values < moment)).to_numpy(dtype=bool)


def active_subscriptions(world: World, moment: pd.Timestamp) -> Frame:
    """Subscriptions that, as known at `moment`, had started and not stopped."""
    rows = versions_at(world.entities["subscriptions"], moment)
    is_over = (rows["cancelled_at"] < moment) | (rows["ended_at"] < moment)
    rows = rows[(rows["started_at"] < moment) & ~is_over]
    return rows.assign(mrr=rows["mrr"].fillna(0).astype("int64"))


def grid(
    rules_cadence: str, anchor: str, first: pd.Timestamp, until: pd.Timestamp
) -> list[pd.Timestamp]:
    """Grid dates D with first < D <= until."""
    start = pd.Timestamp(anchor)
    if rules_cadence == "month":
        dates = list(pd.date_range(start, until, freq=pd.DateOffset(months=1)))
    else:
        dates = list(pd.date_range(start, until, freq="7D" if rules_cadence == "week" else "1D"))
    return [date for date in dates if first < date <= until]


def texts(world: World, seeds: Seeds) -> dict[tuple[Any, Any], tuple[int | None, str | None]]:
    """Mood (scaled) and intent of every text of tickets, by the words that the lexicon knows."""
    found: dict[tuple[Any, Any], tuple[int | None, str | None]] = {}
    tickets = world.entities["tickets"]
    for subject, body in zip(tickets["subject"], tickets["body"], strict=True):
        if (subject, body) in found:
            continue
        words = re.findall(r"[a-z]+", f"{subject or ''} {body or ''}".lower())
        known = [seeds.lexicon[word] for word in words if word in seeds.lexicon]
        mood = divide(sum(score for score, _ in known) * 10**RATIO, len(known))
        votes: dict[str, int] = {}
        for _, intent in known:
            if intent is not None:
                votes[intent] = votes.get(intent, 0) + 1
        winner = max(votes, key=lambda name: (votes[name], seeds.urgency[name]), default=None)
        found[(subject, body)] = (mood, winner)
    return found


# ---- one as-of date ------------------------------------------------------------------------------


@dataclass(frozen=True)
class View:
    """One as-of date: who is observed, and helpers that turn rows into one value an observation."""

    world: World
    rules: Rules
    seeds: Seeds
    moods: Mapping[tuple[Any, Any], tuple[int | None, str | None]]
    moment: pd.Timestamp
    observed: Ints  # codes of the observed customers
    observation_days: Ints

    def count(self, rows: Frame, weights: str | None = None) -> Ints:
        """Rows, or the sum of `weights`, of each observed customer."""
        size = len(self.world.customers)
        if weights is None:
            return np.bincount(rows["customer"], minlength=size).astype(np.int64)[self.observed]
        sums = np.zeros(size, dtype=np.int64)
        np.add.at(
            sums, rows["customer"].to_numpy(), rows[weights].fillna(0).to_numpy(dtype=np.int64)
        )
        return sums[self.observed]

    def distinct(self, rows: Frame, column: str) -> Ints:
        """Distinct values of `column` of each observed customer."""
        return self.count(rows.drop_duplicates(["customer", column]))

    def pick(self, values: pd.Series) -> pd.Series:
        """Values by customer code, in the order of the observations; null where there is none."""
        return values.reindex(self.observed)

    def last_days(self, rows: Frame, clock: str) -> pd.Series:
        """Whole days from the date of the last event in reach to the as-of date."""
        rows = rows[within(rows[clock], self.moment, RECENCY_REACH_DAYS)]
        last = days(self.pick(rows.groupby("customer")[clock].max()))
        return (self.moment - last).dt.days.astype("Int64")

    def windows(self) -> list[tuple[str, Callable[[Frame, str], Flags]]]:
        """Suffix and row filter of each window, the cohort's own last."""

        def fixed(length: int) -> Callable[[Frame, str], Flags]:
            return lambda rows, clock: within(rows[clock], self.moment, length)

        def own(rows: Frame, clock: str) -> Flags:
            lengths = np.zeros(len(self.world.customers), dtype=np.int64)
            lengths[self.observed] = self.observation_days
            starts = self.moment.to_numpy() - lengths[rows["customer"]].astype("timedelta64[D]")
            happened = rows[clock].to_numpy()
            return np.asarray((happened >= starts) & (happened < self.moment.to_numpy()))

        return [(f"{w}d", fixed(w)) for w in self.rules.windows] + [("obs", own)]


def profile(view: View, cells: Cells, customers: Frame) -> None:
    """Who the customer is."""
    for name in ("segment", "industry", "country", "company_size", "acquisition_channel"):
        cells.put(name, customers[name].to_numpy())


def activation(view: View, cells: Cells, customers: Frame) -> None:
    """How the customer got started."""
    rows = view.world.entities["activity"]
    rows = rows[rows["known_at"] < view.moment]
    signed_up = days(customers["signed_up_at"])
    logins = rows[rows["is_login"]]
    first = days(view.pick(logins.groupby("customer")["occurred_at"].min()))
    cells.put(
        "days_to_first_login",
        (first.to_numpy() - signed_up.to_numpy()).astype("timedelta64[D]"),
    )
    starts = pd.Series(signed_up.to_numpy(), index=view.observed)
    since = days(logins["occurred_at"]) - logins["customer"].map(starts)
    week = logins[(since >= span(0)) & (since < span(7))]
    cells.put("first_week_logins", view.count(week, "quantity"))
    steps = set(view.seeds.onboarding_steps["action"])
    done = view.distinct(rows[rows["action"].isin(steps)], "action")
    cells.put("onboarding_completion_ratio", ratios(done, [len(steps)] * len(done)), RATIO)


def engagement(view: View, cells: Cells) -> None:
    """How much the customer uses the product."""
    reach = max(RECENCY_REACH_DAYS, *view.rules.windows)
    rows = facts_at(view.world.entities["activity"], view.moment, "occurred_at", reach)
    rows = rows.assign(day=days(rows["occurred_at"]))
    for suffix, is_inside in view.windows():
        part = rows[is_inside(rows, "occurred_at")]
        cells.put(f"active_days_{suffix}", view.distinct(part, "day"))
        cells.put(f"logins_{suffix}", view.count(part[part["is_login"]], "quantity"))
        cells.put(f"actions_{suffix}", view.count(part, "quantity"))
        cells.put(f"minutes_{suffix}", view.count(part, "minutes"), MONEY)
    used = rows[rows["feature_code"] >= 0]
    in_90d = used[within(used["occurred_at"], view.moment, 90)]
    in_30d = used[within(used["occurred_at"], view.moment, 30)]
    cells.put("features_used_30d", view.distinct(in_30d, "feature_code"))
    cells.put("features_used_90d", view.distinct(in_90d, "feature_code"))
    everyone = [in_90d["feature_code"].nunique()] * len(view.observed)
    cells.put(
        "feature_adoption_ratio_30d", ratios(cells.columns["features_used_30d"], everyone), RATIO
    )
    cells.put("days_since_last_activity", view.last_days(rows, "occurred_at"))
    cells.put("days_since_last_login", view.last_days(rows[rows["is_login"]], "occurred_at"))
    cells.put("days_since_last_feature_use", view.last_days(used, "occurred_at"))
    velocity(view, cells, rows)


def velocity(view: View, cells: Cells, rows: Frame) -> None:
    """Whether use is rising or falling."""
    clock = rows["occurred_at"]

    def between(older: int, newer: int) -> Frame:
        return rows[within(clock, view.moment, older) & ~within(clock, view.moment, newer)]

    this_week, week_before = between(7, 0), between(14, 7)

    def logins(part: Frame) -> Ints:
        return view.count(part[part["is_login"]], "quantity")

    def features(part: Frame) -> Ints:
        return view.distinct(part[part["feature_code"] >= 0], "feature_code")

    cells.put("logins_wow_ratio", ratios(logins(this_week), logins(week_before)), RATIO)
    cells.put(
        "actions_wow_ratio",
        ratios(view.count(this_week, "quantity"), view.count(week_before, "quantity")),
        RATIO,
    )
    cells.put("features_wow_ratio", ratios(features(this_week), features(week_before)), RATIO)
    oldest, older, newer = (logins(between(w, w - 7)) for w in (28, 21, 14))
    newest = logins(this_week)
    # Least squares over x = 0, 1, 2, 3: sum((x - 1.5) * y) / 5.
    slope = 3 * newest + newer - older - 3 * oldest
    cells.put("logins_trend_28d", ratios(slope, [10] * len(slope)), RATIO)
    cells.put(
        "actions_30d_vs_prior_ratio",
        ratios(view.count(between(30, 0), "quantity"), view.count(between(60, 30), "quantity")),
        RATIO,
    )


def support(view: View, cells: Cells) -> None:
    """What the customer asked for help with, and how it went; needs `days_to_renewal`."""
    moment, longest = view.moment, max(view.rules.windows)
    rows = versions_at(view.world.entities["tickets"], moment)
    for suffix, is_inside in view.windows():
        cells.put(f"tickets_{suffix}", view.count(rows[is_inside(rows, "opened_at")]))
    recent = rows[within(rows["opened_at"], moment, longest)]
    is_open = recent["resolved_at"].isna() | (recent["resolved_at"] >= moment)
    cells.put("open_tickets", view.count(recent[is_open]))
    opened = rows[within(rows["opened_at"], moment, 90)]
    escalated = opened[opened["escalated_at"] < moment]
    cells.put("escalation_ratio_90d", ratios(view.count(escalated), view.count(opened)), RATIO)
    resolved = recent[within(recent["resolved_at"], moment, 90)]
    took = (resolved["resolved_at"] - resolved["opened_at"]).astype("int64")
    resolved = resolved.assign(took=took)
    hours = [int(count) * MICROSECONDS_OF_AN_HOUR for count in view.count(resolved)]
    cells.put("resolution_hours_avg_90d", ratios(view.count(resolved, "took"), hours), RATIO)
    rated = recent[within(recent["csat_at"], moment, 90) & recent["csat_score"].notna()]
    cells.put("csat_avg_90d", ratios(view.count(rated, "csat_score"), view.count(rated)), RATIO)
    last_month = rows[within(rows["opened_at"], moment, 30)]
    read = [
        view.moods[text] for text in zip(last_month["subject"], last_month["body"], strict=True)
    ]
    last_month = last_month.assign(
        mood=pd.array([mood for mood, _ in read], dtype="Int64"),
        is_complaint=np.array([intent in ("complaint", "cancel") for _, intent in read], bool),
    )
    spoken = last_month[last_month["mood"].notna()]
    cells.put("sentiment_avg_30d", quotients(view.count(spoken, "mood"), view.count(spoken)), RATIO)
    complaints = view.count(last_month[last_month["is_complaint"]])
    renewal = pd.Series(cells.columns["days_to_renewal"]).astype("Int64")
    near = (renewal <= 60).fillna(False).to_numpy(dtype=bool)
    cells.put("has_complaint_near_renewal", near & (complaints > 0))
    cells.put("days_since_last_ticket", view.last_days(rows, "opened_at"))


def contract_terms(view: View, cells: Cells) -> None:
    """What the customer pays for and when it renews."""
    moment, ids = view.moment, view.observed
    rows = active_subscriptions(view.world, moment)
    number = view.count(rows)
    mrr = pd.Series(view.count(rows, "mrr"), dtype="Int64").where(number > 0)
    cells.put("mrr", mrr, MONEY)
    cells.put("arr", mrr * 12, MONEY)
    cells.put("active_subscriptions", number)
    # Between subscriptions of equal mrr the words name no main one; the lowest id is taken.
    main = rows.sort_values(["mrr", "id"], ascending=[False, True]).drop_duplicates("customer")
    main = main.set_index("customer").reindex(ids)
    cells.put("plan", main["plan"].to_numpy())
    cells.put("billing_period_months", main["billing_period_months"].array)
    cells.put("discount_ratio", main["discount_ratio"].array, RATIO)
    cells.put("auto_renew", main["auto_renew"].array)
    ahead = rows.assign(ahead=(days(rows["renews_at"]) - moment).dt.days.astype("Int64"))
    ahead = ahead[(ahead["ahead"] >= 0).fillna(False).to_numpy(dtype=bool)]
    cells.put("days_to_renewal", view.pick(ahead.groupby("customer")["ahead"].min()).array)
    ahead = ahead.assign(left=ahead["mrr"] * ahead["ahead"])
    thirty = [30 if count else None for count in view.count(ahead)]
    cells.put("contract_value_remaining", quotients(view.count(ahead, "left"), thirty), MONEY)
    cells.put("plan_changes_180d", view.count(plan_changes(view.world, moment)))
    before = active_subscriptions(view.world, moment - span(90))
    mrr_before = pd.Series(view.count(before, "mrr"), dtype="Int64").where(view.count(before) > 0)
    cells.put("mrr_change_90d", mrr - mrr_before, MONEY)
    tier = tiers_of(mrr.fillna(0).to_numpy(dtype=np.int64), view.seeds)
    cells.put("estimated_ltv", mrr * tier["expected_lifetime_months"], MONEY)


def plan_changes(world: World, moment: pd.Timestamp) -> Frame:
    """Versions that became known in 180 days and name another plan than the version before."""
    rows = world.entities["subscriptions"]
    plan = rows["plan"].fillna("\0")
    changed = plan.ne(plan.groupby(rows["id"]).shift(1)) & rows["id"].duplicated()
    return rows[changed & within(rows["known_at"], moment, 180)]


def billing(view: View, cells: Cells) -> None:
    """How invoices were paid."""
    moment = view.moment
    rows = versions_at(view.world.entities["invoices"], moment)
    cells.put("invoices_90d", view.count(rows[within(rows["issued_at"], moment, 90)]))
    for length in (90, 365):
        paid = rows[within(rows["paid_at"], moment, length)]
        cells.put(f"amount_paid_{length}d", view.count(paid, "amount"), MONEY)
    cells.put("failed_payments_90d", view.count(rows[within(rows["failed_at"], moment, 90)]))
    due = rows[within(rows["due_at"], moment, 180)]
    late = due[(due["paid_at"] > due["due_at"]) | due["paid_at"].isna()]
    cells.put("late_payment_ratio_180d", ratios(view.count(late), view.count(due)), RATIO)
    unpaid = rows[within(rows["due_at"], moment, 365) & rows["paid_at"].isna().to_numpy()]
    overdue = (moment - days(unpaid["due_at"])).dt.days.astype("Int64")
    longest = view.pick(overdue.groupby(unpaid["customer"]).max())
    cells.put("days_past_due_max", longest.fillna(0).array)
    cells.put("days_since_last_payment", view.last_days(rows, "paid_at"))


def orders(view: View, cells: Cells) -> None:
    """What the customer buys."""
    rows = facts_at(view.world.entities["orders"], view.moment, "ordered_at", RECENCY_REACH_DAYS)
    is_return = rows["is_return"].fillna(False).to_numpy(dtype=bool)
    rows = rows.assign(is_return=is_return, day=days(rows["ordered_at"]))
    for suffix, is_inside in view.windows():
        part = rows[is_inside(rows, "ordered_at")]
        cells.put(f"orders_{suffix}", view.count(part[~part["is_return"]]))
        cells.put(f"order_amount_{suffix}", view.count(part, "amount"), MONEY)
    year = rows[within(rows["ordered_at"], view.moment, 365)]
    bought = year[~year["is_return"]]
    number = view.count(bought)
    # Money carries two digits, the mean six: four more.
    cells.put(
        "avg_order_value_365d", quotients(view.count(bought, "amount"), number, 10_000), RATIO
    )
    returned = view.count(year[year["is_return"]])
    cells.put("return_ratio_365d", ratios(returned, returned + number), RATIO)
    first = view.pick(bought.groupby("customer")["day"].min())
    last = view.pick(bought.groupby("customer")["day"].max())
    between = (last - first).dt.days.astype("Int64")
    gaps = pd.Series(view.distinct(bought, "day") - 1, index=between.index)
    has_gap = gaps > 0
    cells.put("order_gap_days_avg", ratios(between.where(has_gap), gaps), RATIO)
    since = (view.moment - last).dt.days.astype("Int64")
    cells.put("order_recency_ratio", ratios((since * gaps).where(has_gap), between), RATIO)
    cells.put("days_since_last_order", view.last_days(rows[~rows["is_return"]], "ordered_at"))


def touches(view: View, cells: Cells) -> None:
    """What the company sent, and how the customer took it."""
    rows = versions_at(view.world.entities["touches"], view.moment)
    rows = rows[~rows["is_holdout"].fillna(False).to_numpy(dtype=bool)]
    sent = rows[within(rows["sent_at"], view.moment, 90)]
    number = view.count(sent)
    cells.put("touches_90d", number)
    for name, clock in (("open", "opened_at"), ("click", "clicked_at")):
        reacted = view.count(sent[sent[clock] < view.moment])
        cells.put(f"{name}_ratio_90d", ratios(reacted, number), RATIO)
    accepted = rows[within(rows["accepted_at"], view.moment, 365)]
    cells.put("offers_accepted_365d", view.count(accepted))
    cells.put("days_since_last_touch", view.last_days(rows, "sent_at"))


def signs_of_life(world: World, moment: pd.Timestamp) -> Frame:
    """What churn by inactivity waits for, as known at `moment`: activity, orders but no returns."""
    bought = world.entities["orders"]
    bought = bought[~bought["is_return"].fillna(False).to_numpy(dtype=bool)]
    columns = ["customer", "at", "known_at"]
    rows = pd.concat(
        [
            bought.rename(columns={"ordered_at": "at"})[columns],
            world.entities["activity"].rename(columns={"occurred_at": "at"})[columns],
        ]
    )
    return rows[rows["known_at"] < moment]


def active_customers(world: World, rules: Rules, moment: pd.Timestamp) -> tuple[Frame, Ints]:
    """Active customers that are visible and not deleted, and their monthly revenue."""
    customers = versions_at(world.entities["customers"], moment)
    customers = customers[~customers["is_deleted"].fillna(False).to_numpy(dtype=bool)]
    if rules.churn_definition == "subscription":
        rows = active_subscriptions(world, moment)
        revenue = rows.groupby("customer")["mrr"].sum()
        customers = customers[customers["customer"].isin(rows["customer"])].sort_values("customer")
        return customers, revenue.reindex(customers["customer"]).to_numpy(dtype=np.int64)
    rows = signs_of_life(world, moment)
    rows = rows[within(rows["at"], moment, rules.inactivity_days)]
    customers = customers[customers["customer"].isin(rows["customer"])].sort_values("customer")
    ordered = facts_at(world.entities["orders"], moment, "ordered_at", 90)
    net = ordered.groupby("customer")["amount"].sum().reindex(customers["customer"]).fillna(0)
    thirds = quotients(net.clip(lower=0), [3] * len(net))
    return customers, np.asarray(thirds, dtype=np.int64)


def tiers_of(revenue: Ints, seeds: Seeds) -> Frame:
    """The value tier of each revenue (scaled): first band whose limits hold it."""
    chosen = []
    for amount in revenue:
        for band in seeds.value_tiers.to_dict("records"):
            low, high = band["min_monthly_revenue"], band["below_monthly_revenue"]
            above = not low or amount >= Decimal(low) * 100
            if above and (not high or amount < Decimal(high) * 100):
                chosen.append(
                    {
                        "value_tier": band["value_tier"],
                        "sample_weight": int(Decimal(band["sample_weight"]) * 10**RATIO),
                        "expected_lifetime_months": int(band["expected_lifetime_months"]),
                    }
                )
                break
    columns = ["value_tier", "sample_weight", "expected_lifetime_months"]
    return Frame(chosen, columns=columns)


def cohorts_of(tenure: Ints, seeds: Seeds) -> Frame:
    """The cohort of each tenure."""
    chosen = []
    for number in tenure:
        for band in seeds.cohorts.to_dict("records"):
            end = band["max_tenure_days"]
            if number >= band["min_tenure_days"] and (pd.isna(end) or number <= end):
                chosen.append(band)
                break
    return Frame(chosen, columns=list(seeds.cohorts.columns))


def one_date(
    world: World, rules: Rules, seeds: Seeds, moods: Mapping[Any, Any], moment: pd.Timestamp
) -> tuple[Cells, Cells, Cells]:
    """Observations, customer_360 and labels of one as-of date."""
    customers, revenue = active_customers(world, rules, moment)
    if not len(customers):
        return Cells(), Cells(), Cells()
    tenure = (moment - days(customers["signed_up_at"])).dt.days.to_numpy(dtype=np.int64)
    cohorts, tier = cohorts_of(tenure, seeds), tiers_of(revenue, seeds)
    if len(cohorts) != len(customers) or len(tier) != len(customers):
        raise AssertionError("a tenure or a revenue lies in no band of the seeds")
    observed = customers["customer"].to_numpy(dtype=np.int64)
    keys, mart, labels = Cells(), Cells(), Cells()
    for cells in (keys, mart, labels):
        cells.put("customer_id", customers["customer_id"].to_numpy())
        cells.put("as_of_date", np.full(len(customers), moment.to_datetime64(), "datetime64[D]"))
    for cells in (keys, mart):
        cells.put("tenure_days", tenure)
        for name in ("cohort", "observation_days", "horizon_days"):
            cells.put(name, cohorts[name].to_numpy())
        cells.put("value_tier", tier["value_tier"].to_numpy())
        cells.put("monthly_revenue", revenue, MONEY)
        cells.put("sample_weight", tier["sample_weight"].to_numpy(), RATIO)
    lengths = cohorts["observation_days"].to_numpy(dtype=np.int64)
    view = View(world, rules, seeds, moods, moment, observed, lengths)
    profile(view, mart, customers)
    activation(view, mart, customers)
    engagement(view, mart)
    contract_terms(view, mart)
    support(view, mart)
    billing(view, mart)
    orders(view, mart)
    touches(view, mart)
    label(world, rules, moment, observed, cohorts["horizon_days"].to_numpy(np.int64), labels)
    return keys, mart, labels


# ---- labels --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Stay:
    """Time with a subscription, gaps within the grace bridged; `stop` is None while open."""

    start: pd.Timestamp
    stop: pd.Timestamp | None
    is_voluntary: bool


def stays(rows: Frame, grace_days: int) -> dict[int, list[Stay]]:
    """Stays by customer code, of subscriptions as known at one moment."""
    grace = span(grace_days)
    stop = rows["cancelled_at"].fillna(rows["ended_at"])
    rows = rows.assign(stop=stop, has_notice=rows["cancelled_at"].notna())
    # What stopped before it started was never held.
    rows = rows[~(rows["stop"] <= rows["started_at"])].sort_values(["customer", "started_at", "id"])
    found: dict[int, list[Stay]] = {}
    for customer, start, end, has_notice in zip(
        rows["customer"], rows["started_at"], rows["stop"], rows["has_notice"], strict=True
    ):
        end = None if pd.isna(end) else end
        mine = found.setdefault(customer, [])
        last = mine[-1] if mine else None
        if last is None or (last.stop is not None and start >= last.stop + grace):
            mine.append(Stay(start, end, has_notice))
        elif last.stop is not None and (end is None or end > last.stop):
            mine[-1] = Stay(last.start, end, has_notice)
        elif last.stop is not None and end == last.stop:
            mine[-1] = Stay(last.start, end, last.is_voluntary or has_notice)
    return found


def label(
    world: World, rules: Rules, moment: pd.Timestamp, observed: Ints, horizons: Ints, cells: Cells
) -> None:
    """What became of each observation, as known when its label is."""
    outcome: list[tuple[Any, ...]] = [(None, None, None, None, None)] * len(observed)
    is_by_contract = rules.churn_definition == "subscription"
    wait = rules.label_delay_days + (rules.grace_days if is_by_contract else 0)
    known_at = [moment + span(int(horizon) + wait) for horizon in horizons]
    for horizon in sorted(set(horizons.tolist())):
        known = moment + span(horizon + wait)
        if known > world.data_until:
            continue
        chosen = np.flatnonzero(horizons == horizon)
        if is_by_contract:
            by_customer = stays(
                versions_at(world.entities["subscriptions"], known), rules.grace_days
            )
            for place in chosen:
                mine = by_customer.get(int(observed[place]), [])
                outcome[place] = subscription_outcome(mine, moment, moment + span(horizon))
        else:
            rows = signs_of_life(world, known)
            alive = rows[(rows["at"] >= moment) & (rows["at"] < moment + span(horizon))]
            alive_codes = set(alive["customer"])
            for place in chosen:
                if int(observed[place]) in alive_codes:
                    outcome[place] = (False, None, None, None, False)
                else:
                    outcome[place] = (True, moment, 0, "voluntary", False)
    names = ("is_churn", "churned_at", "days_to_churn", "churn_type", "has_left_before")
    for name, values in zip(names, zip(*outcome, strict=True), strict=True):
        cells.put(name, list(values))
    cells.put("label_known_at", known_at)
    cells.put("is_label_available", [moment <= world.data_until for moment in known_at])


def subscription_outcome(
    mine: Sequence[Stay], moment: pd.Timestamp, end: pd.Timestamp
) -> tuple[Any, ...]:
    """(is_churn, churned_at, days_to_churn, churn_type, has_left_before) of one observation."""
    is_there = any(
        stay.start < moment and (stay.stop is None or stay.stop >= moment) for stay in mine
    )
    over = [stay for stay in mine if stay.stop is not None and moment <= stay.stop < end]
    if not over:
        return (False, None, None, None, not is_there)
    first = min(over, key=lambda stay: stay.stop)
    kind = "voluntary" if first.is_voluntary else "involuntary"
    return (True, first.stop, (first.stop.floor("D") - moment).days, kind, not is_there)


# ---- all dates -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Gold:
    """Three tables, keyed by customer and as-of date, and the scale of each column."""

    observations: Frame
    customer_360: Frame
    churn_labels: Frame
    scales: Mapping[str, int]


def plain(values: Any) -> pd.Series:
    """Values as Int64, boolean or object, whatever they came as (see the module's first words)."""
    series = pd.Series(values).reset_index(drop=True)
    if isinstance(series.dtype, pd.BooleanDtype) or series.dtype == bool:
        return series.astype("boolean")
    if series.dtype.kind == "m":
        return _integers(series, "timedelta64[s]", 86_400)
    if series.dtype.kind == "M":
        return _integers(series, "datetime64[us]", 1)
    if series.dtype.kind in "iuf" or isinstance(series.dtype, pd.Int64Dtype):
        return series.astype("Int64")
    first = next((value for value in series if not pd.isna(value)), None)
    if isinstance(first, bool | np.bool_):
        return series.astype("boolean")
    if isinstance(first, int | np.integer):
        return series.astype("Int64")
    if isinstance(first, pd.Timestamp):
        return _integers(pd.to_datetime(series), "datetime64[us]", 1)
    return series.astype(object).where(series.notna(), None)


def _integers(series: pd.Series, unit: str, divisor: int) -> pd.Series:
    """Moments or durations as integers, null where there is none."""
    numbers = pd.Series(series.astype(unit).to_numpy().astype("int64") // divisor, dtype="Int64")
    return numbers.mask(series.isna().to_numpy())


def compute(
    raw: Path, dates: Iterable[pd.Timestamp], rules: Rules, seeds: Seeds | None = None
) -> Gold:
    """The reference of `gold` for the as-of dates, from a folder of raw Parquet files."""
    seeds = seeds or read_seeds(PROJECT / "seeds")
    world = read_world(raw, rules)
    moods = texts(world, seeds)
    parts: tuple[list[Frame], list[Frame], list[Frame]] = ([], [], [])
    scales: dict[str, int] = {}
    for moment in dates:
        for cells, list_of_parts in zip(
            one_date(world, rules, seeds, moods, moment), parts, strict=True
        ):
            scales |= cells.scales
            columns = {name: plain(values) for name, values in cells.columns.items()}
            list_of_parts.append(Frame(columns))
    tables = [
        pd.concat([part for part in found if len(part)], ignore_index=True)
        .sort_values(["as_of_date", "customer_id"])
        .reset_index(drop=True)
        for found in parts
    ]
    # A column that is null at one date and not at another changes its type in between.
    tables = [Frame({name: plain(table[name]) for name in table}) for table in tables]
    return Gold(tables[0], tables[1], tables[2], scales)


# ---- the other side ------------------------------------------------------------------------------


def read_gold(connection: Any, relation: str) -> tuple[Frame, dict[str, int]]:
    """Read a relation as plain columns (see the module's first words) and their scales."""
    described = connection.execute(f"describe {relation}").fetchall()
    select, scales = [], {}
    for name, data_type, *_ in described:
        if name == "built_from":
            continue
        scales[name] = scale = _scale(data_type.lower())
        expression = f'"{name}"'
        if scale:
            expression = f'cast("{name}" * {10**scale} as hugeint)::bigint'
        elif data_type in ("DATE", "TIMESTAMP"):
            expression = f'epoch_us("{name}"::timestamp)'
        elif data_type in ("DOUBLE", "FLOAT"):
            raise AssertionError(f"{relation}.{name} is {data_type}; gold holds no floating point")
        select.append(f'{expression} as "{name}"')
    table = connection.sql(
        f"select {', '.join(select)} from {relation} order by as_of_date, customer_id"
    ).to_arrow_table()
    mapping = {
        pa.int64(): pd.Int64Dtype(), pa.int32(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype(),
    }  # fmt: skip
    return table.to_pandas(types_mapper=mapping.get), scales


@dataclass(frozen=True)
class Comparison:
    """What two tables agree and differ on."""

    cells: int
    differences: Mapping[str, int]  # by column
    report: str

    @property
    def is_equal(self) -> bool:
        """Whether no cell differs."""
        return not self.differences


def compare(
    expected: Frame, actual: Frame, scales: Mapping[str, int], actual_scales: Mapping[str, int]
) -> Comparison:
    """Compare every cell; a column or a row that only one side has differs."""
    keys = ["as_of_date", "customer_id"]
    differences: dict[str, int] = {}
    lines: list[str] = []
    for name in sorted(set(expected.columns) ^ set(actual.columns)):
        side = "the reference" if name in expected else "the warehouse"
        differences[name] = len(expected)
        lines.append(f"column {name}: only in {side}")
    both = expected.merge(
        actual, on=keys, how="outer", suffixes=("__expected", "__actual"), indicator="side"
    )
    for side, name in (("left_only", "the reference"), ("right_only", "the warehouse")):
        alone = both[both["side"] == side]
        if len(alone):
            differences[f"rows only in {name}"] = len(alone)
            for row in alone.head(5).itertuples():
                lines.append(f"row {row.customer_id} {_day(row.as_of_date)}: only in {name}")
    both = both[both["side"] == "both"]
    columns = [name for name in expected.columns if name in actual.columns and name not in keys]
    for name in columns:
        if scales[name] != actual_scales[name]:
            differences[name] = len(both)
            lines.append(f"column {name}: {actual_scales[name]} digits, expected {scales[name]}")
            continue
        left, right = both[f"{name}__expected"], both[f"{name}__actual"]
        differs = _differs(left, right)
        if differs.any():
            differences[name] = int(differs.sum())
            for row in both[differs].head(5).itertuples():
                want, got = getattr(row, f"{name}__expected"), getattr(row, f"{name}__actual")
                lines.append(
                    f"{name}: customer {row.customer_id} at {_day(row.as_of_date)}: "
                    f"expected {want!r}, got {got!r} (scale {scales[name]})"
                )
    counted = [f"{name}: {number} of {len(both)} differ" for name, number in differences.items()]
    return Comparison(len(both) * len(columns), differences, "\n".join([*counted, *lines]))


def _differs(left: pd.Series, right: pd.Series) -> Flags:
    """Where two columns hold other values; null equals null, and 1 is not true."""
    nulls_left, nulls_right = left.isna().to_numpy(), right.isna().to_numpy()
    both = ~nulls_left & ~nulls_right
    kinds = {_kind(column) for column in (left[both], right[both]) if len(column)}
    if len(kinds) > 1:
        return both | (nulls_left != nulls_right)
    unequal = np.zeros(len(left), dtype=bool)
    unequal[both] = left.to_numpy(dtype=object)[both] != right.to_numpy(dtype=object)[both]
    return unequal | (nulls_left != nulls_right)


def _kind(values: pd.Series) -> str:
    """Return whether values are flags, numbers or texts."""
    first = values.iloc[0]
    if isinstance(first, bool | np.bool_):
        return "flag"
    return "number" if isinstance(first, int | np.integer) else "text"


def _day(microseconds: int) -> str:
    """As-of date in words."""
    return str(pd.Timestamp(microseconds, unit="us").date())
