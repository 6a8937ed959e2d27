import { expect } from 'vitest'
import { type FuzzProtocol, type FuzzReport, fuzzEdge } from './differential.ts'

/** For how long a test changes requests, and where it begins. */
export interface Course {
  readonly seconds: number
  readonly seed: number
}

/** `.ci/run` says 60 seconds, and then every run begins somewhere else. */
export function readCourse(): Course {
  const { FAREBOX_FUZZ_SECONDS: long, FAREBOX_FUZZ_SEED: given } = process.env
  const fresh = long === undefined ? 20_260_101 : Date.now() % 0x7fff_ffff
  return { seconds: Number(long ?? 4), seed: Number(given ?? fresh) }
}

/** No disagreement, and a gateway that does not refuse everything, which would pass every check. */
export async function expectAgreement(
  protocol: FuzzProtocol,
  { seconds, seed }: Course,
): Promise<FuzzReport> {
  const report = await fuzzEdge({ protocol, seconds, seed })
  expect(report.runs).toBeGreaterThan(5 * seconds)
  expect(report.reached).toBeGreaterThan(report.runs / 10)
  expect(report.reached).toBeLessThanOrEqual(report.forwarded)
  return report
}
