# SPDX-License-Identifier: MIT
"""Profiles: text and back, files that are never lost, the commands."""

import dataclasses
import json
import sqlite3
from datetime import UTC, datetime, timedelta

import hypothesis
import hypothesis.strategies as st
import pytest

from roller_host.app.standing import person_standing
from roller_host.cli import main
from roller_host.sessions import people
from roller_host.sessions.doses import dose_of_week
from roller_host.sessions.errors import SessionError
from roller_host.sessions.person import MOST_ROWS, Person, PlaceBand, Refinement, Unfinished, from_toml, to_toml
from roller_host.sessions.store import Recorder
from roller_host.signal.comfort import STARTING_BANDS, Band, band_of
from roller_host.signal.dose import Dose
from roller_host.signal.limits import Answer, Origin
from roller_host.signal.ramps import Marks, Reaction

CHEEK, JAW = ("cheek", "left"), ("jaw", "right")
DATE = "2026-01-02T03:04:05+00:00"
BAND = Band(0.7, 2.1, 3.4, 8.0)
ANNA = Person(
    "Anna B.",
    {CHEEK: PlaceBand(BAND, Origin.MEASURED, 4.0, DATE, "00ff", 0.12, 3, bound=False)},
    {JAW: "irritated \"skin\", \\ and \u00fcber"},
    refinements=(Refinement(CHEEK, Answer.TOO_FIRM, DATE, 3.8, 3.4),),
    reaction=Reaction(0.31, 0.02, 5),
    unfinished=Unfinished(
        "quick", (CHEEK, JAW), Reaction(0.31, 0.02, 5), {CHEEK: (Marks(2.0, 4.0, False, 1.0, 0.1),)}, (JAW,), DATE
    ),
)  # fmt: skip


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("ROLLER_HOST_DATA", str(tmp_path))
    return tmp_path


# --- Text -------------------------------------------------------------------------------------------------------------


def test_a_profile_survives_its_text():
    assert from_toml(to_toml(ANNA)) == ANNA


def test_doses_of_ones_own_survive_too():
    person = dataclasses.replace(ANNA, doses={**ANNA.doses, CHEEK: Dose(10.0, 20.0)})
    assert from_toml(to_toml(person)) == person


@hypothesis.given(st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=60))
def test_any_reason_survives(reason):
    person = dataclasses.replace(ANNA, excluded={JAW: reason})
    assert from_toml(to_toml(person)).excluded == {JAW: reason}


def test_a_file_never_raises_a_ceiling(caplog):
    text = to_toml(ANNA).replace("limit_n = 3.4", "limit_n = 34.0").replace("firm_n = 2.1", "firm_n = 21.0")
    one = from_toml(text).bands[CHEEK]
    assert one.band.ceiling_n == 8.0
    assert one.band.limit_n == pytest.approx(6.8)
    assert one.band.low_n < one.band.firm_n < one.band.limit_n
    assert "too near the ceiling" in caplog.text
    caplog.clear()


@pytest.mark.parametrize(("old", "new", "said"), [
    ("format = 1", "format = 2", "format must be 1"),
    ('name = "Anna B."', 'name = ""', "name has 1 to 40"),
    ('zone = "cheek"', 'zone = "nose"', "'nose' is none of forehead"),
    ('side = "left"', 'side = ""', "is none of left, right"),
    ("low_n = 0.7", "low_n = 2.7", "low_n < firm_n < limit_n"),
    ("low_n = 0.7", "low_n = nan", "must be a number from 0 to 100"),
    ("low_n = 0.7", "lowest = 0.7", "unknown key 'lowest'"),
    ('origin = "measured"', 'origin = "guessed"', "is none of measured, inferred, starting point"),
    ("ramps = 3", 'ramps = "3"', "ramps must be a whole number"),
    ("format = 1", "format = 1\nformat = 1", "not readable as TOML"),
    ('answer = "too firm"', 'answer = "ouch"', "is none of too light, right, too firm"),
    ("firmest_n = 4.0", "firmest_n = 40.0", "must be a number from 0.2 to 8"),
])  # fmt: skip
def test_what_is_wrong_in_a_profile_is_named(old, new, said):
    text = to_toml(ANNA)
    assert old in text
    with pytest.raises(ValueError, match=said.replace("(", "\\(")):
        from_toml(text.replace(old, new, 1))


@hypothesis.given(st.text(max_size=200))
def test_any_text_is_a_profile_or_an_error(text):
    with pytest.raises(ValueError):  # noqa: PT011 - any sentence will do
        from_toml(text)


def test_a_place_twice_is_an_error():
    row = to_toml(dataclasses.replace(ANNA, unfinished=None)).partition("\n[[bands]]")[2].partition("\n[[")[0]
    with pytest.raises(ValueError, match="left cheek is there twice"):
        from_toml(to_toml(ANNA) + "\n[[bands]]" + row)


# --- Bands ------------------------------------------------------------------------------------------------------------


def test_places_without_a_band_have_the_starting_point():
    used = ANNA.in_use()
    assert used[CHEEK] == BAND
    assert band_of(used, "temple", "left") == STARTING_BANDS["temple"]
    assert used[JAW].limit_n == 0.15
    assert set(used) == {CHEEK, JAW, ("", "")}
    assert band_of(Person("Nobody").in_use(), "", "") == STARTING_BANDS[""]


def test_pressure_is_force_on_the_patch():
    assert ANNA.kpa(3.0) == pytest.approx(20.0)


def test_too_firm_moves_the_band_down_and_says_by_how_much():
    moved, words = ANNA.felt(CHEEK, Answer.TOO_FIRM, DATE)
    assert moved.bands[CHEEK].band.limit_n == pytest.approx(0.9 * 3.4)
    assert words == "limit 3.40 -> 3.06 N (-10 %), band 0.70-2.10 -> 0.60-1.89 N"
    assert moved.refinements[-1].to_n == pytest.approx(3.06)


def test_too_light_stops_at_what_was_measured():
    person = ANNA
    for _ in range(10):
        person, words = person.felt(CHEEK, Answer.TOO_LIGHT, DATE)
    assert person.bands[CHEEK].band.limit_n == pytest.approx(4.0)
    assert "goes no further" in words


# --- Files ------------------------------------------------------------------------------------------------------------


def test_saved_is_found_whatever_the_case():
    people.save(ANNA)
    assert people.find("anna  b.") == ANNA


def test_the_profile_before_is_kept():
    path = people.save(ANNA)
    people.save(dataclasses.replace(ANNA, excluded={}))
    assert people.read(path).excluded == {}
    assert people.read(path.with_name(path.name + people.KEPT)) == ANNA


def test_two_names_never_share_a_file():
    first, second = people.save(Person("Ann-a")), people.save(Person("Ann a"))
    assert first != second
    assert [one.name for one in people.load_all()] == ["Ann a", "Ann-a"]


def test_a_failed_write_leaves_the_profile_as_it_was(monkeypatch):
    path = people.save(ANNA)

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", fail)
    with pytest.raises(SessionError, match="No space left"):
        people.save(dataclasses.replace(ANNA, excluded={}))
    assert people.read(path) == ANNA


def test_a_name_that_is_taken_is_not_taken_over():
    people.save(ANNA)
    people.save(Person("Ben"))
    with pytest.raises(SessionError, match="already"):
        people.rename("Ben", "anna b.")
    assert people.rename("Ben", "Benjamin").name == "Benjamin"
    assert people.rename("Anna B.", "anna b.").name == "anna b."


def test_deleting_takes_the_kept_one_along(folder):
    people.save(ANNA)
    people.save(ANNA)
    people.delete("Anna B.")
    assert list((folder / "people").iterdir()) == []


def test_unknown_person_is_told_who_is_known():
    people.save(ANNA)
    with pytest.raises(SessionError, match=r"known: Anna B\."):
        people.find("Zoe")


def test_of_two_files_with_one_name_neither_is_written_over_the_other(folder):
    path = people.save(ANNA)
    copy = path.with_name("copy.toml")
    copy.write_text(to_toml(dataclasses.replace(ANNA, excluded={})))
    kept = copy.read_text()
    assert people.save(people.find("Anna B.")) == path
    assert people.read(path) == ANNA
    assert copy.read_text() == kept
    people.delete("Anna B.")
    assert copy.read_text() == kept


def test_a_name_is_the_same_in_one_piece_and_with_accents_apart():
    people.save(Person("Zo\u00eb"))
    assert people.find("Zoe\u0308").name == "Zo\u00eb"
    with pytest.raises(SessionError, match="already"):
        people.new_name("zoe\u0308")


def test_who_has_a_damaged_profile_is_not_begun_anew(folder):
    path = people.save(ANNA)
    path.write_text("name = ")
    with pytest.raises(SessionError, match="not readable as TOML"):
        people.find_or_new("Anna B.")
    assert people.find_or_new("Ben").name == "Ben"


def test_many_answers_leave_a_profile_that_can_be_read():
    person = dataclasses.replace(ANNA, refinements=ANNA.refinements * MOST_ROWS)
    person, _ = person.felt(CHEEK, Answer.RIGHT, DATE)
    assert from_toml(to_toml(person)).refinements[-1].answer is Answer.RIGHT


@pytest.mark.parametrize("date", ["", "yesterday"])
def test_a_profile_written_by_hand_needs_no_date(date):
    people.save(ANNA)
    path = people.people_folder() / "anna-b.toml"
    path.write_text(to_toml(dataclasses.replace(ANNA, unfinished=None)).replace(f'date = "{DATE}"', f'date = "{date}"'))
    assert person_standing("Anna B.").words == "Anna B.: 1 places, date unknown"


# --- Doses of a week --------------------------------------------------------------------------------------------------

NOW = datetime(2026, 3, 8, 12, tzinfo=UTC)


def record(folder, name, person, began, dose):
    path = folder / f"{name}.sqlite"
    path.touch()
    recorder = Recorder(path, {"created": began.isoformat(), "person": person}, print)
    recorder.close({"dose_n_s": dose})


def test_a_week_adds_up_what_one_person_recorded(tmp_path):
    record(tmp_path, "a", "Anna", NOW - timedelta(days=1), {"left cheek": 10.0, "decolletage": 2.0})
    record(tmp_path, "b", "Anna", NOW - timedelta(days=6), {"left cheek": 5.0})
    record(tmp_path, "c", "Ben", NOW - timedelta(days=1), {"left cheek": 100.0})
    record(tmp_path, "d", "Anna", NOW - timedelta(days=8), {"left cheek": 1000.0})
    (tmp_path / "e.sqlite").write_bytes(b"no recording")
    now = NOW
    assert dose_of_week("anna", now, tmp_path) == {CHEEK: 15.0, ("decolletage", ""): 2.0}
    with sqlite3.connect(tmp_path / "a.sqlite") as db:
        db.execute("DELETE FROM estimates")
    db.close()
    assert dose_of_week("Anna", now, tmp_path) == {CHEEK: 5.0}


# --- Commands ---------------------------------------------------------------------------------------------------------


def said(capsys, *words):
    code = main(["people", *words])
    out, err = capsys.readouterr()
    return code, out, err


def test_show_gives_newtons_kilopascals_and_the_source(capsys):
    people.save(ANNA)
    code, out, _ = said(capsys, "show", "anna b.", "--json")
    assert code == 0
    shown = json.loads(out)
    cheek = next(one for one in shown["bands"] if one["place"] == "left cheek")
    assert cheek["limit_n"] == 3.4
    assert cheek["limit_kpa"] == pytest.approx(22.67, abs=0.01)
    assert cheek["origin"] == "measured"
    assert "3 ramps on 2026-01-02" in cheek["source"]
    assert len(shown["bands"]) == 15
    temple = next(one for one in shown["bands"] if one["place"] == "left temple")
    assert "not clinical" in temple["source"]


def test_show_in_words_names_what_is_left_out(capsys):
    people.save(ANNA)
    _, out, _ = said(capsys, "show", "Anna B.")
    assert "left out: irritated" in out
    assert "kPa" in out


def test_export_and_import_carry_a_profile_over(capsys, tmp_path):
    people.save(ANNA)
    file = tmp_path / "anna.toml"
    assert said(capsys, "export", "Anna B.", str(file))[0] == 0
    assert said(capsys, "export", "Anna B.", str(file))[0] == 2, "nothing is overwritten"
    code, _, err = said(capsys, "import", str(file))
    assert (code, "already" in err) == (2, True)
    assert said(capsys, "import", str(file), "--as", "Anna at work")[0] == 0
    assert people.find("Anna at work").bands == ANNA.bands


def test_import_says_the_name_that_is_kept(capsys, tmp_path):
    file = tmp_path / "anna.toml"
    file.write_text(to_toml(ANNA))
    assert said(capsys, "import", str(file), "--as", " Anna\tC.\n")[1].startswith("Anna C.: ")
    assert said(capsys, "import", str(file), "--as", "")[0] == 2


@pytest.mark.parametrize("name", ["a" * 300, "dangling"])
def test_export_to_a_name_that_cannot_be_exits_with_2(capsys, tmp_path, name):
    people.save(ANNA)
    (tmp_path / "dangling").symlink_to(tmp_path / "elsewhere")
    code, _, err = said(capsys, "export", "Anna B.", str(tmp_path / name))
    assert (code, "Anna" in err) == (2, False)
    assert (tmp_path / "dangling").is_symlink()


@pytest.mark.parametrize("words", [
    ("show", "Zoe"), ("feel", "Anna B.", "nose", "right"), ("feel", "Anna B.", "cheek", "ouch"),
    ("import", "nowhere.toml"), ("include", "Anna B.", "left cheek"), ("delete", "Zoe"), ("rename", "Anna B.", " "),
])  # fmt: skip
def test_nonsense_exits_with_2_and_a_reason(capsys, words):
    people.save(ANNA)
    code, out, err = said(capsys, *words)
    assert code == 2
    assert not out
    assert err.startswith("roller-host: ")
    assert "Traceback" not in err


def test_feel_moves_both_sides_and_tells_the_steps(capsys):
    people.save(ANNA)
    code, out, _ = said(capsys, "feel", "Anna B.", "cheek", "too-firm")
    assert code == 0
    assert out.count("too firm; limit") == 2


def test_include_takes_a_place_back(capsys):
    people.save(ANNA)
    assert said(capsys, "include", "Anna B.", "right jaw")[0] == 0
    assert people.find("Anna B.").excluded == {}


def test_list_names_broken_profiles_and_goes_on(capsys, folder):
    people.save(ANNA)
    (folder / "people" / "broken.toml").write_text("format = 9")
    code, out, err = said(capsys)
    assert code == 0
    assert "Anna B.: 1 places measured" in out
    assert "broken.toml is no profile" in err
