import { request } from 'node:http'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Counted, Counting } from '../../src/cli/workers/messages.ts'
import { countForWorkers, countInPrimary } from '../../src/cli/workers/shared-counts.ts'
import { unixMs } from '../../src/core/time.ts'
import { type ChildGateway, startChildGateway } from '../support/child-gateway.ts'
import { weatherYaml } from '../support/gateway.ts'
import { type OwnFolder, ownFolder } from '../support/own-folder.ts'
import { startWeatherApi, type WeatherApi } from '../support/weather-api.ts'

let api: WeatherApi
let folder: OwnFolder
let gateway: ChildGateway

beforeAll(async () => {
  api = await startWeatherApi()
  folder = ownFolder()
  folder.write(`version: 1
admin: {listen: 127.0.0.1:0}
store: {url: "sqlite:${folder.storeFile}"}
${weatherYaml(
  { facilitator: { url: 'http://127.0.0.1:1' }, api },
  { server: 'workers: 2', top: 'rateLimit: {requests: 20, per: 1m}' },
)}`)
  const started = await startChildGateway(folder.configFile)
  if (started.kind === 'ended') throw new Error(started.stderr)
  gateway = started
}, 60_000)

afterAll(async () => {
  await gateway.stop()
  await api.close()
  folder.remove()
})

/** On a connection of its own, which any worker may take. */
function ask(): Promise<number> {
  return new Promise((resolve, reject) => {
    const asked = request(`${gateway.url}/health`, { agent: false }, response => {
      response.resume()
      response.once('end', () => resolve(response.statusCode ?? 0))
    })
    asked.once('error', reject).end()
  })
}

test('workers limit a client together', async () => {
  let passed = 0
  for (let asked = 0; asked < 60; asked++) if ((await ask()) === 200) passed++
  expect(passed).toBeGreaterThanOrEqual(20)
  // And those that one let through before it heard of the other one's count.
  expect(passed).toBeLessThanOrEqual(26)
})

test('the primary adds up what workers count, each until its window ends', async () => {
  let now = 1_800_000_000_000
  const count = countForWorkers(() => unixMs(now))
  const waiting: (() => void)[] = []
  const worker = () => {
    const counters = countInPrimary((counting: Counting) => {
      const answer: Counted = count(counting)
      waiting.push(() => counters.hear(answer))
    })
    return counters
  }
  const [one, other] = [worker(), worker()]
  const key = { id: 'rate', subject: 'a', perMs: 60_000 }
  const first = one.add(key, 1_000_000)
  now += 10_000
  const second = other.add(key, 2)
  now += 60_000
  const third = one.add(key, 1)
  for (const hear of waiting.reverse()) hear()
  expect(await first).toEqual({ count: 1_000_000, resetMs: 60_000 })
  expect(await second).toEqual({ count: 1_000_002, resetMs: 50_000 })
  expect(await third).toEqual({ count: 1, resetMs: 60_000 })
})

test('a worker whose primary is behind counts for itself', async () => {
  const counters = countInPrimary(() => undefined)
  const key = { id: 'rate', subject: 'a', perMs: 60_000 }
  for (let asked = 0; asked < 1000; asked++) void counters.add(key, 1)
  await expect(counters.add(key, 1)).rejects.toThrow('behind')
})
