import type { Contestant } from './duel.ts'
import { runLoad } from './load.ts'

/** Of paid requests sent one after the other, so that nothing waits but for its own steps. */
export interface Latency {
  readonly name: string
  readonly p50Ms: number
  readonly p99Ms: number
}

/** @param count Taken from the end of the contestant's requests. */
export async function measureLatency(contestant: Contestant, count: number): Promise<Latency> {
  const { name, process, status } = contestant
  const requests = contestant.requests.slice(-count)
  const load = { port: process.port, requests, count: requests.length, connections: 1, status }
  const { latenciesMs } = await runLoad(load)
  const at = (share: number): number =>
    latenciesMs[Math.min(latenciesMs.length - 1, Math.floor(latenciesMs.length * share))] ?? 0
  return { name, p50Ms: at(0.5), p99Ms: at(0.99) }
}
