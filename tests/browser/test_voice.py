"""A daughter records a sentence for her mother in a real browser with a microphone that hums; she hears it, then keeps it."""

from __future__ import annotations

from alerts.voice.audio import RATE_HZ, read_wav
from alerts.voice.home_voices import load_heard
from kaimen.database import transaction
from tests.browser.test_journeys import Desk, console_url, desk, world
from tests.integration.console_world import World

__all__ = ["console_url", "desk", "world"]


def test_a_daughter_records_in_the_browser_listens_and_keeps_it(
    world: World, console_url: str, desk: Desk
) -> None:
    page = desk("family")
    page.context.grant_permissions(["microphone"])
    page.goto(f"{console_url}/family")
    page.click("a[href$='/voice']")
    page.wait_for_url("**/voice")
    page.fill("[name=spoken_by]", "女儿")
    page.fill("[name=dialect]", "上海话")
    page.check("[name=agreed]")
    page.click("[data-voice-button]")
    page.wait_for_selector("[data-voice-state]:has-text('正在录音')")
    page.wait_for_selector("[data-voice-state][data-seconds='1']")
    page.click("[data-voice-button]")
    page.wait_for_selector("[data-voice-state]:has-text('录好了')")
    page.click("[data-voice] button.primary")
    page.wait_for_selector("audio[src*='draft.wav']")
    # What she listens to is what the telephone will play.
    heard_s = page.evaluate(
        """async () => {
          const player = document.querySelector("audio[src*='draft.wav']");
          player.preload = "metadata"; player.load();
          if (!(player.duration > 0)) await new Promise((done) => { player.onloadedmetadata = done; });
          return player.duration;
        }"""
    )
    assert heard_s > 0.3
    with transaction(world.pool) as connection:
        assert load_heard(connection, "h-wang") == {}, "a draft is heard by nobody"
    page.click("form[action$='/keep'] button")
    page.wait_for_selector("audio[src*='kept.wav']")
    with transaction(world.pool) as connection:
        heard = load_heard(connection, "h-wang")
    assert len(read_wav(heard["elder.greeting", "zh"])) / RATE_HZ > 0.3
    assert not page.query_selector("audio[src*='draft.wav']")
