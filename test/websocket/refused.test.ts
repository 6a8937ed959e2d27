import { once } from 'node:events'
import type { Socket } from 'node:net'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import type { TestGateway } from '../support/gateway.ts'
import { connectRaw, type RawClient, valuesOf } from '../support/raw-client.ts'
import { type RawUpstream, startRawUpstream } from '../support/raw-upstream.ts'
import { ACCEPTED, handshakeTo, startShop, stopAll } from './free-shop.ts'

const ROUTES = `
  /ws/*: {price: free, websocket: true, timeout: 1s}
  /plain/*: free
  GET /paid/*: {price: $0.001, websocket: true}`

let upstream: RawUpstream
let gateway: TestGateway
/** What the upstream does with each request. */
let answer: (socket: Socket, head: string) => void
const clients: RawClient[] = []

beforeAll(async () => {
  upstream = await startRawUpstream((socket, head) => answer(socket, head))
  gateway = await startShop(upstream.url, ROUTES)
})

afterAll(async () => {
  await stopAll()
  await upstream.close()
})

beforeEach(() => {
  answer = () => {}
})

afterEach(() => {
  for (const client of clients.splice(0)) client.destroy()
})

async function connect(): Promise<RawClient> {
  const client = await connectRaw(gateway.url)
  clients.push(client)
  return client
}

async function connectTo(answers: typeof answer): Promise<RawClient> {
  answer = answers
  return connect()
}

/** Heads that have reached the upstream since. */
function countHeads(): () => number {
  const before = upstream.heads.length
  return () => upstream.heads.length - before
}

const codeOf = (body: Buffer): unknown => JSON.parse(String(body)).code

test('what is sent before the answer waits for it', async () => {
  const asked = Promise.withResolvers<Socket>()
  const heads = countHeads()
  const client = await connectTo(socket => asked.resolve(socket))
  client.send(`${handshakeTo('/ws/early')}one,`)
  const socket = await asked.promise
  client.send('two')
  let received = ''
  socket.on('data', chunk => {
    received += chunk
  })
  // Long enough for it to come, if it did.
  await expect(once(socket, 'data', { signal: AbortSignal.timeout(100) })).rejects.toThrow()
  socket.write(`${ACCEPTED}\r\n`)
  expect((await client.readHead()).status).toBe(101)
  await expect.poll(() => received).toBe('one,two')
  expect(heads()).toBe(1)
})

test('a request behind an unpaid handshake is none', async () => {
  const heads = countHeads()
  const client = await connectTo(() => {})
  client.send(`${handshakeTo('/paid/x')}GET /plain/x HTTP/1.1\r\nHost: shop.test\r\n\r\n`)
  const { status } = await client.read()
  expect(status).toBe(402)
  expect((await client.readToEnd()).length).toBe(0)
  expect(heads()).toBe(0)
})

test('a request behind a refused handshake is none', async () => {
  const heads = countHeads()
  const client = await connectTo(socket => {
    socket.write('HTTP/1.1 401 No\r\nContent-Length: 2\r\n\r\nno')
  })
  client.send(`${handshakeTo('/ws/x')}GET /plain/x HTTP/1.1\r\nHost: shop.test\r\n\r\n`)
  const { status, body, rawHeaders } = await client.read()
  expect([status, String(body)]).toEqual([401, 'no'])
  expect(valuesOf({ rawHeaders }, 'connection')).toEqual(['close'])
  expect((await client.readToEnd()).length).toBe(0)
  expect(heads()).toBe(1)
})

test('the upstream sees the handshake as the client wrote it, on a connection of its own', async () => {
  const client = await connectTo(socket => socket.write(`${ACCEPTED}\r\n`))
  const extra =
    'Origin: https://app.test\r\nSec-WebSocket-Protocol: chat\r\nCookie: a=b\r\n' +
    'Sec-WebSocket-Extensions: permessage-deflate\r\nX-Payment: x\r\nFarebox-Payer: me\r\n'
  client.send(handshakeTo('/ws/x', extra))
  expect((await client.readHead()).status).toBe(101)
  const head = upstream.heads.at(-1)?.toLowerCase() ?? ''
  for (const line of [
    'get /ws/x http/1.1',
    'connection: upgrade',
    'upgrade: websocket',
    'sec-websocket-version: 13',
    'sec-websocket-key: dghlihnhbxbszsbub25jzq==',
    'origin: https://app.test',
    'sec-websocket-protocol: chat',
    'sec-websocket-extensions: permessage-deflate',
    'cookie: a=b',
    'x-forwarded-for: 127.0.0.1',
  ]) {
    expect(head.split('\r\n')).toContain(line)
  }
  expect(head).not.toContain('x-payment')
  expect(head).not.toContain('farebox-')
})

test('a 101 carries what the upstream says, and nothing that is ours to say', async () => {
  const client = await connectTo(socket =>
    socket.write(
      `${ACCEPTED}Sec-WebSocket-Protocol: chat\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d\r\n` +
        'PAYMENT-RESPONSE: forged\r\nContent-Length: 5\r\n\r\nhello',
    ),
  )
  client.send(handshakeTo('/ws/x'))
  const head = await client.readHead()
  expect(head.status).toBe(101)
  expect(valuesOf(head, 'upgrade')).toEqual(['websocket'])
  expect(valuesOf(head, 'connection')).toEqual(['Upgrade'])
  expect(valuesOf(head, 'sec-websocket-accept')).toEqual(['s3pPLMBiTxaQ9kYGzzhZRbK+xOo='])
  expect(valuesOf(head, 'sec-websocket-protocol')).toEqual(['chat'])
  expect(valuesOf(head, 'set-cookie')).toEqual(['a=b', 'c=d'])
  expect(valuesOf(head, 'payment-response')).toEqual([])
  expect(valuesOf(head, 'content-length')).toEqual([])
  expect(String(await client.readBytes(5))).toBe('hello')
})

test.each([
  [
    'a 101 without a key of its own',
    'HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n',
  ],
  ['a 101 to another protocol', `${ACCEPTED.replace('websocket', 'h2c')}\r\n`],
  ['a 101 for another key', `${ACCEPTED.replace('s3pP', 's4pP')}\r\n`],
  ['a 101 that names no upgrade', `${ACCEPTED.replace('Connection: Upgrade\r\n', '')}\r\n`],
  ['bytes that are not HTTP', 'what?\r\n\r\n'],
])('%s opens nothing', async (_what, answer) => {
  const client = await connectTo(socket => socket.write(answer))
  client.send(handshakeTo('/ws/x'))
  const { status, body } = await client.read()
  expect(status).toBe(502)
  expect(codeOf(body)).toBe('upstream_unreachable')
  expect((await client.readToEnd()).length).toBe(0)
})

test.each([200, 426])('a %d that claims to be an upgrade is passed on as an answer', async code => {
  const client = await connectTo(socket =>
    socket.write(`${ACCEPTED.replace('101', String(code))}Content-Length: 2\r\n\r\nno`),
  )
  client.send(handshakeTo('/ws/x'))
  const { status, body, rawHeaders } = await client.read()
  expect([status, String(body)]).toEqual([code, 'no'])
  expect(valuesOf({ rawHeaders }, 'upgrade')).toEqual([])
  expect((await client.readToEnd()).length).toBe(0)
})

test('an upstream that answers 200 has answered a plain request', async () => {
  const client = await connectTo(socket =>
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nplainEXTRA'),
  )
  client.send(handshakeTo('/ws/x'))
  const { status, body } = await client.read()
  expect([status, String(body)]).toEqual([200, 'plain'])
  expect((await client.readToEnd()).length).toBe(0)
})

test('an upstream that says nothing is a timeout, and one that hangs up is unreachable', async () => {
  const client = await connectTo((socket, head) => {
    if (head.includes('/ws/hang-up')) socket.destroy()
  })
  client.send(handshakeTo('/ws/silent'))
  expect((await client.read()).status).toBe(504)
  await expect.poll(() => upstream.connections.at(-1)?.destroyed).toBe(true)
  const second = await connect()
  second.send(handshakeTo('/ws/hang-up'))
  expect((await second.read()).status).toBe(502)
})

test('a client that leaves before the answer takes the handshake with it', async () => {
  const asked = Promise.withResolvers<Socket>()
  const client = await connectTo(socket => asked.resolve(socket))
  client.send(handshakeTo('/ws/x'))
  const closed = once(await asked.promise, 'close')
  client.destroy()
  await closed
})

test('a handshake for a route without WebSocket is a plain request, and the last', async () => {
  const heads = countHeads()
  const client = await connectTo(answerPlain)
  client.send(`${handshakeTo('/plain/x')}${GET}`)
  const { status, body } = await client.read()
  expect([status, String(body)]).toEqual([200, 'plain'])
  expect((await client.readToEnd()).length).toBe(0)
  expect(heads()).toBe(1)
  expect(upstream.heads.at(-1)).toContain('GET /plain/x ')
  expect(upstream.heads.at(-1)?.toLowerCase()).not.toContain('upgrade')
})

test('a handshake follows on a connection that has carried requests, once they are answered', async () => {
  const client = await connectTo((socket, head) =>
    head.includes('/ws/') ? socket.write(`${ACCEPTED}\r\n`) : answerPlain(socket),
  )
  client.send(GET)
  expect((await client.read()).status).toBe(200)
  client.send(handshakeTo('/ws/x'))
  expect((await client.readHead()).status).toBe(101)
  const hasty = await connect()
  hasty.send(GET + handshakeTo('/ws/hasty'))
  expect(String(await hasty.readToEnd())).not.toContain('101')
  expect(upstream.heads.filter(head => head.includes('hasty'))).toEqual([])
})

const GET = 'GET /plain/y HTTP/1.1\r\nHost: shop.test\r\n\r\n'

function answerPlain(socket: Socket): void {
  socket.write('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nplain')
}
