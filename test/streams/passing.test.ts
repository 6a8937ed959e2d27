import { once } from 'node:events'
import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type ChildGateway, startChildGateway } from '../support/child-gateway.ts'
import { startWorld, type World, weatherYaml } from '../support/gateway.ts'
import { type OwnFolder, ownFolder } from '../support/own-folder.ts'
import { readRows, signFor } from '../support/payments.ts'
import { figuresOf, forgetPeak } from '../support/process-figures.ts'
import { connectRaw } from '../support/raw-client.ts'
import { countBody, MEGABYTE, sendBody } from './bodies.ts'
import { type LargeApi, readCounted, startLargeApi } from './large-api.ts'

/** STREAM_MB=1024 sends a gigabyte each time. */
const SIZE = Number(process.env['STREAM_MB'] ?? '256') * MEGABYTE
/**
 * What was kept would be all of it. The collector lets up to 64 MB of rubbish lie, measured with
 * bodies of 80 and of 320 MB alike.
 */
const GROWTH_MAX = SIZE / 2
const TIMEOUT = 120_000

let world: World
let api: LargeApi
let folder: OwnFolder
let gateway: ChildGateway

beforeAll(async () => {
  world = await startWorld()
  api = await startLargeApi(SIZE)
  folder = ownFolder()
  folder.write(yaml())
  const started = await startChildGateway(folder.configFile)
  if (started.kind === 'ended') throw new Error(`Not started: ${started.stderr}`)
  gateway = started
  // Until its heap has the size that it works with.
  await download('/download/length')
}, 60_000)
afterAll(async () => {
  await gateway?.kill()
  await Promise.all([api?.close(), world?.close()])
  folder?.remove()
})

function yaml(): string {
  const top = `version: 1
admin: {listen: 127.0.0.1:0}
store: {url: "sqlite:${folder.storeFile}"}`
  const routes = `
  /download/{how}: free
  /upload: free
  /hold: free
  /events: free
  /paid/download/{how}: {price: $0.001, replay: {for: 1m, maxBytes: 1MiB}}
  /paid/upload: {price: $0.001}
  /paid/hold: {price: $0.001}
  /paid/events: {price: $0.001}`
  const server = 'limits: {bodyBytes: 2GiB, requestTimeout: 10m}'
  return weatherYaml({ facilitator: world.facilitator, api }, { top, server, routes })
}

const KINDS = [
  ['free', ''],
  ['paid', '/paid'],
] as const

/** Headers that pay for a route, where it has a price. */
async function paying(path: string, method: string): Promise<Record<string, string>> {
  if (!path.startsWith('/paid')) return {}
  const init = { method, headers: { 'content-length': '0' } }
  return { 'PAYMENT-SIGNATURE': await signFor(world.chain, gateway.url + path, { init }) }
}

function begin(method: string, path: string, headers: Record<string, string>): ClientRequest {
  return httpRequest(gateway.url + path, { method, headers, agent: false })
}

async function answerTo(request: ClientRequest): Promise<IncomingMessage> {
  const [response] = (await once(request, 'response')) as [IncomingMessage] // what it emits
  return response
}

/** How much more of the gateway was resident meanwhile than before. */
async function growthWhile(work: () => Promise<void>): Promise<number> {
  forgetPeak(gateway.pid)
  const before = figuresOf(gateway.pid).residentBytes
  await work()
  return figuresOf(gateway.pid).peakBytes - before
}

async function download(path: string): Promise<void> {
  const request = begin('GET', path, await paying(path, 'GET'))
  const answered = answerTo(request)
  request.end()
  const response = await answered
  expect(response.statusCode).toBe(200)
  expect((await countBody(response)).bytes).toBe(SIZE)
}

async function upload(path: string, framing: Record<string, string>): Promise<void> {
  const request = begin('POST', path, { ...framing, ...(await paying(path, 'POST')) })
  const answered = answerTo(request)
  const sent = await sendBody(request, SIZE)
  expect(readCounted(await text(await answered))).toEqual(sent)
}

describe.each(KINDS)('a long body, %s', (_kind, prefix) => {
  test.each(['length', 'chunked'])(
    'comes down in constant memory, %s',
    async how => {
      const path = `${prefix}/download/${how}`
      expect(await growthWhile(() => download(path))).toBeLessThan(GROWTH_MAX)
    },
    TIMEOUT,
  )

  test.each([
    ['length', { 'content-length': String(SIZE) }],
    ['chunked', { 'transfer-encoding': 'chunked' }],
  ])(
    'goes up in constant memory, %s',
    async (_how, framing) => {
      const path = `${prefix}/upload`
      expect(await growthWhile(() => upload(path, framing))).toBeLessThan(GROWTH_MAX)
    },
    TIMEOUT,
  )

  test(
    'waits in the upstream for a caller that does not read, and is whole afterwards',
    async () => {
      const path = `${prefix}/download/chunked`
      const growth = await growthWhile(async () => {
        const request = begin('GET', path, await paying(path, 'GET'))
        const answered = answerTo(request)
        request.end()
        const response = await answered
        await untilStill(() => api.handedOver)
        expect(api.handedOver).toBeLessThan(SIZE / 2)
        expect((await countBody(response)).bytes).toBe(SIZE)
      })
      expect(growth).toBeLessThan(GROWTH_MAX)
    },
    TIMEOUT,
  )
})

describe.each(KINDS)('piece by piece, %s', (_kind, prefix) => {
  test('events leave when they come', async () => {
    const path = `${prefix}/events`
    const headers = await paying(path, 'GET')
    const client = await connectRaw(gateway.url)
    const begun = api.nextStream()
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
    client.send(
      `GET ${path} HTTP/1.1\r\nHost: ${new URL(gateway.url).host}\r\n${lines.join('')}\r\n`,
    )
    const stream = await begun
    stream.write('data: 0\n\n')
    expect((await client.readHead()).status).toBe(200)
    expect(String(await client.readChunk())).toBe('data: 0\n\n')
    for (let event = 1; event <= 5; event++) {
      stream.write(`data: ${event}\n\n`)
      expect(String(await client.readChunk())).toBe(`data: ${event}\n\n`)
    }
    stream.end()
    expect(await client.readChunk()).toBeNull()
    client.destroy()
  })

  test('an upload reaches the upstream while its caller still writes it', async () => {
    const path = `${prefix}/hold`
    const request = begin('POST', path, await paying(path, 'POST'))
    const answered = answerTo(request)
    const arriving = api.nextUpload()
    // More than what is digested of a paid request, before the upstream hears of it.
    const first = Buffer.alloc(100 * 1024, 'a')
    request.write(first)
    const upload = await arriving
    let arrived = 0
    upload.on('data', chunk => {
      arrived += chunk.length
    })
    await expect.poll(() => arrived).toBe(first.length)
    for (let piece = 1; piece <= 3; piece++) {
      request.write('piece')
      await expect.poll(() => arrived).toBe(first.length + 5 * piece)
    }
    request.end()
    expect((await answered).resume().statusCode).toBe(200)
  })
})

test('every paid one of them has its row, delivered to the end', async () => {
  const states = (): string[] => readRows(folder.storeFile).map(({ state }) => state)
  await expect.poll(states).toEqual(Array.from({ length: 7 }, () => 'delivered'))
})

/** Until nothing has changed for a while. */
async function untilStill(count: () => number): Promise<void> {
  for (let before = -1; before !== count(); ) {
    before = count()
    await new Promise(resolve => setTimeout(resolve, 150))
  }
}
