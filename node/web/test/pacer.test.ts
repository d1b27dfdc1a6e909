import { expect, it } from "vitest";
import { Pacer } from "../src/pacer";

/** A viewer so many seconds behind live, all of them buffered. */
function viewer(behind: number) {
  const video = { currentTime: 100, playbackRate: 1 };
  const live = 100 + behind;
  const pacer = new Pacer(video, () => ({ latency: live - video.currentTime, target: 1.25, buffered: live - video.currentTime }));
  pacer.reset();
  return { video, pacer };
}

it("leaps to live at the start, by what is buffered", () => {
  const { video, pacer } = viewer(5);
  pacer.start();
  expect(video.currentTime).toBe(103.75);
});

it("leaps twice after the first picture, then hurries", () => {
  const { video, pacer } = viewer(3);
  for (const wanted of [101.75, 101.75]) {
    pacer.keep(true);
    expect(video.currentTime).toBe(wanted);
  }
  const late = viewer(3);
  for (let i = 0; i < 2; i++) {
    late.pacer.keep(true);
    late.video.currentTime = 100;
  }
  late.pacer.keep(true);
  expect(late.video.currentTime).toBe(100);
  expect(late.video.playbackRate).toBeGreaterThan(1);
});

it("leaves a viewer alone who is near, or who is not to move", () => {
  const near = viewer(1.3);
  near.pacer.keep(true);
  expect(near.video).toEqual({ currentTime: 100, playbackRate: 1 });
  const paused = viewer(5);
  paused.video.playbackRate = 1.1;
  paused.pacer.keep(false);
  expect(paused.video).toEqual({ currentTime: 100, playbackRate: 1 });
});
