import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { buyer } from '../support/accounts.ts'
import { type ChildGateway, startChildGateway } from '../support/child-gateway.ts'
import { onceSettled } from '../support/facilitator.ts'
import { startWorld, type World, weatherYaml } from '../support/gateway.ts'
import { type OwnFolder, ownFolder } from '../support/own-folder.ts'
import { type Challenge, readChallenge, readRows, signChallenge } from '../support/payments.ts'
import { CutShortError, connectRaw, type RawClient, valuesOf } from '../support/raw-client.ts'
import { type LargeApi, startLargeApi } from './large-api.ts'

/** Half of them end in time. STREAMS=200 takes a minute: each one is settled on the chain. */
const STREAMS = Number(process.env['STREAMS'] ?? '40')
/** At once: less than a facilitator is asked at the same time. */
const BUYERS = 10
const DRAIN_MS = 1_500
const TIMEOUT = 60_000

let world: World
let api: LargeApi
let folder: OwnFolder
let gateway: ChildGateway
/** Resolved by a test to let settlements through; null: they go through at once. */
let gate: Promise<void> | null = null

beforeAll(async () => {
  world = await startWorld({ intercept: onceSettled(() => gate) })
  await world.chain.mint(buyer.address, 1_000_000_000n)
  api = await startLargeApi(0)
})
afterAll(async () => {
  await Promise.all([api?.close(), world?.close()])
})
beforeEach(async () => {
  gate = null
  folder = ownFolder()
  await world.startCounting()
})
afterEach(async () => {
  await gateway?.kill()
  folder.remove()
})

async function start(workers: number): Promise<void> {
  const top = `version: 1
admin: {listen: 127.0.0.1:0}
store: {url: "sqlite:${folder.storeFile}"}`
  const routes = '\n  GET /paid/events: $0.001\n  /events: free'
  const server = `drainTimeout: ${DRAIN_MS}ms, workers: ${workers}`
  const shop = { facilitator: world.facilitator, api }
  const yaml = weatherYaml(shop, { top, server, routes })
  folder.write(
    yaml
      .replace('weather: {url', 'weather: {maxConnections: 1000, url')
      // Patient, because so many settlements keep a busy machine busy.
      .replace(/facilitators: \["(.*)"\]/, 'facilitators: [{url: "$1", timeout: 60s}]'),
  )
  const started = await startChildGateway(folder.configFile)
  if (started.kind === 'ended') throw new Error(`Not started: ${started.stderr}${started.stdout}`)
  gateway = started
}

const PATH = '/paid/events'

async function askPaid(challenge: Challenge): Promise<RawClient> {
  const payment = await signChallenge(world.chain, challenge)
  const client = await connectRaw(gateway.url)
  const host = new URL(gateway.url).host
  client.send(`GET ${PATH} HTTP/1.1\r\nHost: ${host}\r\nPAYMENT-SIGNATURE: ${payment}\r\n\r\n`)
  return client
}

const challengeNow = async (): Promise<Challenge> => readChallenge(await fetch(gateway.url + PATH))

/** Streams that have been paid for, each with its first event read. */
async function openPaidStreams(count: number): Promise<RawClient[]> {
  const challenge = await challengeNow()
  const clients: RawClient[] = []
  const buyers = Array.from({ length: Math.min(count, BUYERS) }, async () => {
    for (let left = count / BUYERS; left > 0; left--) {
      const client = await askPaid(challenge)
      const head = await client.readHead()
      expect(head.status).toBe(200)
      expect(valuesOf(head, 'payment-response')).toHaveLength(1)
      clients.push(client)
    }
  })
  await Promise.all(buyers)
  return clients
}

function countStates(): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const { state } of readRows(folder.storeFile)) counts[state] = (counts[state] ?? 0) + 1
  return counts
}

describe.each([
  [1, STREAMS],
  [2, STREAMS / 2],
])('SIGTERM with %i worker(s) and %i streams', (workers, streams) => {
  test(
    'ends what ends in time, cuts the rest at its time, and has a record of every payment',
    async () => {
      await start(workers)
      const clients = await openPaidStreams(streams)
      expect(api.streams).toHaveLength(streams)
      const ending = new Set(api.streams.slice(0, streams / 2))

      const beganAt = performance.now()
      const exited = gateway.stop()
      await expect.poll(() => connectRaw(gateway.url).then(leave, () => 'refused')).toBe('refused')
      for (const stream of ending) stream.end('data: last\n\n')
      const ends = await Promise.all(clients.map(endOf))
      expect(await exited).toBe(0)
      const tookMs = performance.now() - beganAt
      expect(tookMs).toBeGreaterThan(DRAIN_MS - 100)
      expect(tookMs).toBeLessThan(DRAIN_MS + 4_000)

      expect(ends.filter(end => end === 'data: last\n\n')).toHaveLength(streams / 2)
      expect(ends.filter(end => end === 'cut')).toHaveLength(streams / 2)
      // Who was cut off may have it again; what was delivered is over.
      expect(countStates()).toEqual({ delivered: streams / 2, settled: streams / 2 })
      expect(await world.earned()).toBe(BigInt(streams) * 1_000n)
      const hashes = readRows(folder.storeFile).map(row => row.transaction_hash)
      expect(new Set(hashes).size).toBe(streams)
    },
    TIMEOUT,
  )
})

test(
  'a settlement that is under way when the time is over is written down before the end',
  async () => {
    await start(1)
    const { promise, resolve } = Promise.withResolvers<void>()
    gate = promise
    const settling = world.facilitator.calls.settle.length
    const begun = api.nextStream()
    const client = await askPaid(await challengeNow())
    await begun
    await expect.poll(() => world.facilitator.calls.settle.length).toBe(settling + 1)
    const exited = gateway.stop()
    await client.closed
    expect(countStates()).toEqual({ settling: 1 })
    resolve()
    expect(await exited).toBe(0)
    expect(countStates()).toEqual({ settled: 1 })
    expect(readRows(folder.storeFile)[0]?.transaction_hash).toMatch(/^0x/)
  },
  TIMEOUT,
)

test(
  'a request on a kept connection is refused meanwhile, and pays nothing',
  async () => {
    await start(1)
    const kept = await openPaidStreams(1)
    const [stream] = api.streams
    const challenge = await challengeNow()
    const payment = await signChallenge(world.chain, challenge)
    const host = new URL(gateway.url).host
    // The second request comes while the first one still streams, on the same connection.
    const client = await connectRaw(gateway.url)
    const begun = api.nextStream()
    client.send(`GET /events HTTP/1.1\r\nHost: ${host}\r\n\r\n`)
    const own = await begun
    await client.readHead()
    const exited = gateway.stop()
    await expect.poll(() => connectRaw(gateway.url).then(leave, () => 'refused')).toBe('refused')
    client.send(`GET ${PATH} HTTP/1.1\r\nHost: ${host}\r\nPAYMENT-SIGNATURE: ${payment}\r\n\r\n`)
    await new Promise(resolve => setTimeout(resolve, 50))
    own.end()
    expect(await client.readChunk()).toBeNull()
    await client.readBytes(2)
    const refused = await client.read()
    expect([refused.status, valuesOf(refused, 'connection')]).toEqual([503, ['close']])
    expect(String(refused.body)).toContain('shutting_down')
    stream?.end()
    await Promise.all(kept.map(endOf))
    expect(await exited).toBe(0)
    expect(countStates()).toEqual({ delivered: 1 })
    expect(await world.earned()).toBe(1_000n)
  },
  TIMEOUT,
)

/** The last event of a stream that came to its end; 'cut' for one that did not. */
async function endOf(client: RawClient): Promise<string> {
  try {
    let last = ''
    for (let chunk = await client.readChunk(); chunk !== null; chunk = await client.readChunk()) {
      last = String(chunk)
    }
    return last
  } catch (error) {
    if (error instanceof CutShortError) return 'cut'
    throw error
  } finally {
    client.destroy()
  }
}

function leave(client: RawClient): string {
  client.destroy()
  return 'taken'
}
