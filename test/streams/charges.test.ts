import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import {
  startTestGateway,
  startWorld,
  type TestGateway,
  type World,
  weatherYaml,
} from '../support/gateway.ts'
import { readRows, signFor } from '../support/payments.ts'
import {
  connectRaw,
  type RawClient,
  type RawHead,
  type RawResponse,
  valuesOf,
} from '../support/raw-client.ts'
import { ETAG, GZIPPED, type StreamsApi, startStreamsApi, WHOLE } from './api.ts'

/** Every row of the table in docs/streams.md, bought with real money. */
const PRICE = 1_000n

let world: World
let api: StreamsApi
let gateway: TestGateway

beforeAll(async () => {
  ;[world, api] = await Promise.all([startWorld(), startStreamsApi()])
  const routes = `
  /file: $0.001
  GET /204: $0.001
  GET /205: $0.001
  GET /redirect: $0.001
  GET /gzip: $0.001
  GET /trailers: $0.001
  GET /hints: $0.001
  GET /continue: $0.001
  GET /chunks: $0.001
  POST /echo: $0.001`
  gateway = await startTestGateway(weatherYaml({ facilitator: world.facilitator, api }, { routes }))
})
afterAll(async () => {
  await gateway?.close()
  await Promise.all([api?.close(), world?.close()])
})
beforeEach(async () => {
  api.requests.length = 0
  await world.startCounting()
})

interface Asked {
  readonly method?: string
  readonly version?: '1.0' | '1.1'
  /** Lines, each with its end. */
  readonly headers?: string
}

async function ask(path: string, asked: Asked = {}): Promise<RawClient> {
  const { method = 'GET', version = '1.1', headers = '' } = asked
  const payment = await signFor(world.chain, gateway.url + path, { init: { method } })
  const client = await connectRaw(gateway.url)
  const host = new URL(gateway.url).host
  client.send(
    `${method} ${path} HTTP/${version}\r\nHost: ${host}\r\nPAYMENT-SIGNATURE: ${payment}\r\n${headers}\r\n`,
  )
  return client
}

async function buy(path: string, asked: Asked = {}): Promise<RawResponse> {
  const client = await ask(path, asked)
  const response = await client.read(asked.method)
  client.destroy()
  return response
}

/** How often the price was taken for what has been asked since the test began. */
async function charged(): Promise<bigint> {
  const earned = await world.earned()
  expect(earned % PRICE).toBe(0n)
  return earned / PRICE
}

const etagOf = (head: RawHead): string[] => valuesOf(head, 'etag')
const hasReceipt = (head: RawHead): boolean => valuesOf(head, 'payment-response').length === 1

describe('charged', () => {
  test('a whole response, also for HEAD', async () => {
    const whole = await buy('/file')
    expect([whole.status, String(whole.body), hasReceipt(whole)]).toEqual([200, WHOLE, true])
    const head = await buy('/file', { method: 'HEAD' })
    expect([head.status, valuesOf(head, 'content-length')]).toEqual([200, ['26']])
    expect(await charged()).toBe(2n)
  })

  test('each part of a Range, at the whole price', async () => {
    for (const [from, to] of [
      [0, 4],
      [5, 9],
    ] as const) {
      const part = await buy('/file', { headers: `Range: bytes=${from}-${to}\r\n` })
      expect([part.status, String(part.body)]).toEqual([206, WHOLE.slice(from, to + 1)])
      expect(valuesOf(part, 'content-range')).toEqual([`bytes ${from}-${to}/26`])
      expect([etagOf(part), valuesOf(part, 'accept-ranges')]).toEqual([[ETAG], ['bytes']])
    }
    expect(await charged()).toBe(2n)
  })

  test('If-Range of something older: the whole', async () => {
    const whole = await buy('/file', { headers: 'Range: bytes=0-4\r\nIf-Range: "old"\r\n' })
    expect([whole.status, String(whole.body)]).toEqual([200, WHOLE])
    const part = await buy('/file', { headers: `Range: bytes=0-4\r\nIf-Range: ${ETAG}\r\n` })
    expect([part.status, String(part.body)]).toEqual([206, 'abcde'])
    expect(await charged()).toBe(2n)
  })

  test('a condition that lets the whole through', async () => {
    const response = await buy('/file', { headers: 'If-None-Match: "old"\r\n' })
    expect([response.status, String(response.body)]).toEqual([200, WHOLE])
    expect(await charged()).toBe(1n)
  })

  test.each(['/204', '/205'])('%s, which has no body', async path => {
    const response = await buy(path)
    expect([response.status, response.body.length]).toEqual([Number(path.slice(1)), 0])
    expect([hasReceipt(response), valuesOf(response, 'transfer-encoding')]).toEqual([true, []])
    expect(await charged()).toBe(1n)
  })

  test('a redirect, whose Location passes', async () => {
    const response = await buy('/redirect')
    expect([response.status, valuesOf(response, 'location')]).toEqual([302, ['/elsewhere']])
    expect(await charged()).toBe(1n)
  })
})

describe('not charged', () => {
  test('304: the caller has it already, and its validators pass as they are', async () => {
    const response = await buy('/file', { headers: `If-None-Match: ${ETAG}\r\n` })
    expect([response.status, response.body.length, hasReceipt(response)]).toEqual([304, 0, false])
    expect([etagOf(response), valuesOf(response, 'cache-control')]).toEqual([
      [ETAG],
      ['max-age=60'],
    ])
    expect(await charged()).toBe(0n)
    expect(readRows(gateway.storeFile).at(-1)?.state).toBe('released')
  })

  test('416, whose Content-Range says how long it is', async () => {
    const response = await buy('/file', { headers: 'Range: bytes=100-200\r\n' })
    expect([response.status, valuesOf(response, 'content-range')]).toEqual([416, ['bytes */26']])
    expect(await charged()).toBe(0n)
  })

  test('412: the condition of a write was not met', async () => {
    const asked = { method: 'PUT', headers: 'If-Match: "old"\r\nContent-Length: 0\r\n' }
    expect((await buy('/file', asked)).status).toBe(412)
    expect(await charged()).toBe(0n)
  })

  test('an upstream that says 100 without being asked: no response that could be sold', async () => {
    const response = await buy('/continue')
    expect([response.status, String(response.body)]).toEqual([
      502,
      expect.stringContaining('upstream_unreachable'),
    ])
    expect(await charged()).toBe(0n)
  })
})

describe('passed on as it is', () => {
  test('a compressed body, byte by byte, and what it depends on', async () => {
    const response = await buy('/gzip', { headers: 'Accept-Encoding: gzip;q=0.5, br\r\n' })
    expect(response.body.equals(GZIPPED)).toBe(true)
    expect(valuesOf(response, 'content-encoding')).toEqual(['gzip'])
    expect([valuesOf(response, 'vary'), etagOf(response)]).toEqual([
      ['Accept-Encoding'],
      ['W/"gz"'],
    ])
    expect(api.requests.at(-1)?.headers['accept-encoding']).toBe('gzip;q=0.5, br')
  })

  test('no Accept-Encoding where the caller sent none', async () => {
    await buy('/gzip')
    expect(api.requests.at(-1)?.headers['accept-encoding']).toBeUndefined()
  })

  test.each(['', 'TE: trailers\r\nConnection: TE\r\n'])(
    'trailers, with or without TE (%j), but none that would change the head',
    async headers => {
      const response = await buy('/trailers', { headers })
      expect([String(response.body), response.trailers]).toEqual([WHOLE, ['X-Checksum', 'abc']])
      expect(valuesOf(response, 'trailer')).toEqual(['X-Checksum'])
      expect(await charged()).toBe(1n)
    },
  )

  test('chunks, to an HTTP/1.0 client until the connection ends', async () => {
    const chunked = await buy('/chunks')
    expect([String(chunked.body), valuesOf(chunked, 'transfer-encoding')]).toEqual([
      'one two',
      ['chunked'],
    ])
    const old = await buy('/chunks', { version: '1.0' })
    expect([String(old.body), valuesOf(old, 'transfer-encoding')]).toEqual(['one two', []])
    expect([valuesOf(old, 'connection'), hasReceipt(old)]).toEqual([['close'], true])
    expect(await charged()).toBe(2n)
  })
})

describe('1xx', () => {
  test('102 and 103 of the upstream end here: they would be content before money', async () => {
    const response = await buy('/hints')
    expect([response.status, String(response.body), etagOf(response)]).toEqual([200, WHOLE, [ETAG]])
    expect(await charged()).toBe(1n)
  })

  test('100 asks for a body once its payment may pay for it, and the upstream hears no Expect', async () => {
    const client = await ask('/echo', {
      method: 'POST',
      headers: `Expect: 100-continue\r\nContent-Length: ${WHOLE.length}\r\n`,
    })
    expect((await client.readHead()).status).toBe(100)
    client.send(WHOLE)
    const response = await client.read()
    client.destroy()
    expect([response.status, String(response.body)]).toEqual([200, WHOLE])
    expect(api.requests.at(-1)?.headers.expect).toBeUndefined()
    expect(await charged()).toBe(1n)
  })

  test('without a payment nobody asks for the body', async () => {
    const client = await connectRaw(gateway.url)
    client.send(
      'POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 26\r\n\r\n',
    )
    const response = await client.read()
    client.destroy()
    expect([response.status, valuesOf(response, 'connection')]).toEqual([402, ['close']])
    expect(api.requests).toEqual([])
  })
})

test('a route may charge for 304 as well, by saying so', async () => {
  const routes = '\n  GET /file: {price: $0.001, billable: [2xx, 3xx]}'
  const yaml = weatherYaml({ facilitator: world.facilitator, api }, { routes })
  await using other = await startTestGateway(yaml)
  const url = `${other.url}/file`
  const payment = await signFor(world.chain, url)
  const reply = await fetch(url, {
    headers: { 'PAYMENT-SIGNATURE': payment, 'If-None-Match': ETAG, 'Cache-Control': 'no-cache' },
  })
  expect([reply.status, reply.headers.get('payment-response') !== null]).toEqual([304, true])
  expect(await charged()).toBe(1n)
})
