/**
 * `npm run measure:streams`: how soon after its settlement a stream's first event is there, what an
 * open stream costs, and what a long body does to memory, in a gateway in a process of its own.
 * `--firsts 200 --streams 5000 --megabytes 1024`.
 */
import { once } from 'node:events'
import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http'
import { text } from 'node:stream/consumers'
import { parseArgs } from 'node:util'
import { buyer } from '../support/accounts.ts'
import { type ChildGateway, startChildGateway } from '../support/child-gateway.ts'
import { startWorld, weatherYaml } from '../support/gateway.ts'
import { lookInside, PROBE } from '../support/look-inside.ts'
import { ownFolder } from '../support/own-folder.ts'
import { signFor } from '../support/payments.ts'
import { figuresOf, forgetPeak } from '../support/process-figures.ts'
import { connectRaw, type RawClient } from '../support/raw-client.ts'
import { countBody, MEGABYTE, sendBody } from './bodies.ts'
import { readCounted, startLargeApi } from './large-api.ts'

const { values } = parseArgs({
  options: {
    firsts: { type: 'string', default: '200' },
    streams: { type: 'string', default: '5000' },
    megabytes: { type: 'string', default: '1024' },
  },
})
const streams = Number(values.streams)
const size = Number(values.megabytes) * MEGABYTE
/** Opened at once: more would wait in the listener's queue. */
const OPENING_MAX = 100

const say = (text: string): void => void process.stdout.write(`${text}\n`)
const inMegabytes = (bytes: number): string => `${(bytes / MEGABYTE).toFixed(1)} MB`

let settledAt = 0
const world = await startWorld({
  async intercept(operation, next) {
    const answer = await next()
    if (operation === 'settle') settledAt = performance.now()
    return answer
  },
})
await world.chain.mint(buyer.address, 1_000_000_000n)
const api = await startLargeApi(size)
const folder = ownFolder()
folder.write(
  weatherYaml(
    { facilitator: world.facilitator, api },
    {
      top: `version: 1
admin: {listen: 127.0.0.1:0}
store: {url: "sqlite:${folder.storeFile}"}`,
      server: 'limits: {bodyBytes: 8GiB, requestTimeout: 30m}',
      routes: `
  /download/{how}: free
  /upload: free
  /events: free
  /paid/events: $0.001
  /paid/download/{how}: {price: $0.001, replay: {for: 1m, maxBytes: 1MiB}}
  /paid/upload: $0.001`,
    },
  ).replace('weather: {url', 'weather: {maxConnections: 20000, url'),
)
const started = await startChildGateway(folder.configFile, { preload: PROBE })
if (started.kind === 'ended') throw new Error(`Not started: ${started.stderr}`)
const gateway: ChildGateway = started
const { url, pid } = gateway

await measureFirstEvents(Number(values.firsts))
await measureStreams()
for (const prefix of ['', '/paid']) {
  for (const how of ['length', 'chunked']) {
    await measureBody(`${prefix}/download/${how}`, () => download(`${prefix}/download/${how}`))
    await measureBody(`${prefix}/upload ${how}`, () => upload(`${prefix}/upload`, how))
  }
}
await gateway.stop()
folder.remove()
await Promise.all([api.close(), world.close()])
process.exit()

/** From the facilitator's answer, so that the ledger's write to the disk is a part of it. */
async function measureFirstEvents(runs: number): Promise<void> {
  const took: number[] = []
  for (let run = 0; run < runs; run++) {
    const payment = await signFor(world.chain, `${url}/paid/events`)
    const client = await connectRaw(url)
    const begun = api.nextStream()
    const host = new URL(url).host
    client.send(
      `GET /paid/events HTTP/1.1\r\nHost: ${host}\r\nPAYMENT-SIGNATURE: ${payment}\r\n\r\n`,
    )
    const stream = await begun
    stream.write('data: 0\n\n')
    await client.readHead()
    await client.readChunk()
    took.push(performance.now() - settledAt)
    client.destroy()
  }
  took.sort((one, other) => one - other)
  const at = (share: number): string => (took[Math.ceil(share * runs) - 1] ?? 0).toFixed(1)
  say(`first event after the settlement, ${runs} times: p50 ${at(0.5)} ms, p99 ${at(0.99)} ms`)
}

async function measureStreams(): Promise<void> {
  // Until its code is compiled, and the first connections have been made.
  for (const client of await openStreams(OPENING_MAX)) client.destroy()
  await lookInside(gateway)
  const before = figuresOf(pid).residentBytes
  const { heapUsed } = await lookInside(gateway)
  const beganAt = performance.now()
  const clients = await openStreams(streams)
  const seconds = (performance.now() - beganAt) / 1_000
  const inside = await lookInside(gateway)
  const after = figuresOf(pid)
  say(`${streams} open streams: opened in ${seconds.toFixed(1)} s, ${after.sockets} sockets`)
  say(`  resident ${inMegabytes(before)} to ${inMegabytes(after.residentBytes)}`)
  say(`  of each: ${((after.residentBytes - before) / streams / 1024).toFixed(1)} KB resident,`)
  say(`    ${((inside.heapUsed - heapUsed) / streams / 1024).toFixed(1)} KB of it heap`)
  const sentAt = performance.now()
  for (const stream of api.streams) stream.write('data: one\n\n')
  await Promise.all(clients.map(client => client.readChunk()))
  say(`  one event to each: ${(performance.now() - sentAt).toFixed(0)} ms until the last has it`)
  for (const client of clients) client.destroy()
}

async function openStreams(count: number): Promise<RawClient[]> {
  const clients: RawClient[] = []
  const opener = async (): Promise<void> => {
    while (clients.length < count) {
      const client = await connectRaw(url)
      clients.push(client)
      client.send(`GET /events HTTP/1.1\r\nHost: ${new URL(url).host}\r\n\r\n`)
      await client.readHead()
    }
  }
  await Promise.all(Array.from({ length: Math.min(OPENING_MAX, count) }, opener))
  return clients
}

async function measureBody(name: string, send: () => Promise<void>): Promise<void> {
  forgetPeak(pid)
  const before = figuresOf(pid).residentBytes
  const beganAt = performance.now()
  await send()
  const seconds = (performance.now() - beganAt) / 1_000
  const { peakBytes } = figuresOf(pid)
  const speed = `${inMegabytes(size)} in ${seconds.toFixed(1)} s`
  say(`${name}: ${speed}, resident ${inMegabytes(before)}, at most ${inMegabytes(peakBytes)}`)
}

async function begin(
  method: string,
  path: string,
  headers: Record<string, string> = {},
): Promise<ClientRequest> {
  const isPaid = path.startsWith('/paid')
  const init = { method, headers: { 'content-length': '0' } }
  const paying = isPaid
    ? { 'PAYMENT-SIGNATURE': await signFor(world.chain, url + path, { init }) }
    : {}
  return httpRequest(url + path, { method, headers: { ...headers, ...paying }, agent: false })
}

async function download(path: string): Promise<void> {
  const request = await begin('GET', path)
  const answered = once(request, 'response') as Promise<[IncomingMessage]> // what it emits
  request.end()
  const [response] = await answered
  const { bytes } = await countBody(response)
  if (bytes !== size) throw new Error(`${path}: ${response.statusCode}, ${bytes} bytes came.`)
}

async function upload(path: string, how: string): Promise<void> {
  const isKnown = how === 'length'
  const framing = isKnown ? { 'content-length': String(size) } : { 'transfer-encoding': 'chunked' }
  const request = await begin('POST', path, framing as Record<string, string>) // one of the two
  const answered = once(request, 'response') as Promise<[IncomingMessage]> // what it emits
  const sent = await sendBody(request, size)
  const [response] = await answered
  const counted = readCounted(await text(response))
  if (counted.checksum !== sent.checksum) throw new Error(`${path}: other bytes arrived.`)
}
