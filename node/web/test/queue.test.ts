import { expect, it } from "vitest";
import { Queue } from "../src/queue";

it("does two things at a time, in their order, and goes on after a failure", async () => {
  const q = new Queue(2);
  const begun: number[] = [];
  const ends: ((fail?: boolean) => void)[] = [];
  for (let i = 0; i < 4; i++) {
    q.add(() => {
      begun.push(i);
      return new Promise((done, fail) => ends.push((bad) => (bad ? fail(new Error("bad")) : done())));
    });
  }
  expect(begun).toEqual([0, 1]);
  ends[1]!(true);
  await Promise.resolve().then(() => undefined);
  expect(begun).toEqual([0, 1, 2]);
  ends[0]!();
  await Promise.resolve().then(() => undefined);
  expect(begun).toEqual([0, 1, 2, 3]);
});
