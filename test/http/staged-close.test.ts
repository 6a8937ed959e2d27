import { once } from 'node:events'
import { request as httpsRequest } from 'node:https'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { unixMs } from '../../src/core/time.ts'
import type { Exchange } from '../../src/flow/exchange.ts'
import { closeInStages } from '../../src/http/staged-close.ts'
import { createAuthority } from '../support/certificates.ts'
import { valuesOf } from '../support/raw-client.ts'
import { onStop, post, serve, stopAfterEach, textReply } from './harness.ts'

stopAfterEach()

const MEGABYTE = 1024 ** 2
const LONG = 4 * MEGABYTE

describe('an answer before the end of its request', () => {
  test('reaches a client that sends all of it before it reads', async () => {
    const server = await serve(() => textReply('unpaid'))
    const { hostname, port } = new URL(server.url)
    const socket = connect({ host: hostname, port: Number(port), allowHalfOpen: true })
    socket.write(post(`Content-Length: ${LONG}`))
    await expect.poll(() => server.deliveries).toEqual(['delivered'])
    for (let sent = 0; sent < LONG; sent += MEGABYTE) {
      if (!socket.write(Buffer.alloc(MEGABYTE))) await once(socket, 'drain')
    }
    socket.end()
    const answer = await text(socket)
    expect(answer).toMatch(/^HTTP\/1\.1 200 OK\r\n/)
    expect(answer).toMatch(/\r\n\r\nunpaid$/)
  })

  test('reaches it over TLS', async () => {
    const authority = await createAuthority()
    const pair = await authority.issue()
    const tls = { ...pair, clientCa: null, notAfter: unixMs(Date.now() + 86_400_000) }
    const server = await serve(() => textReply('unpaid'), { tls })
    const options = { method: 'POST', ca: authority.cert, agent: false }
    for (let turn = 0; turn < 5; turn++) {
      const request = httpsRequest(server.url, options)
      const answered = once(request, 'response')
      const closed = once(request, 'close')
      request.end(Buffer.alloc(LONG))
      const [response] = await answered
      expect(await text(response)).toBe('unpaid')
      await closed
    }
  })

  test('is the last: what comes behind the rest of the body is no request', async () => {
    const server = await serve(() => textReply('unpaid'))
    const client = await server.connect()
    client.send(post('Transfer-Encoding: chunked'))
    expect((await client.read()).body.toString()).toBe('unpaid')
    client.send('3\r\nabc\r\n0\r\n\r\nGET /next HTTP/1.1\r\nHost: a\r\n\r\n')
    await client.closed
    for (let turn = 0; turn < 10; turn++) await nextTurn()
    expect(server.deliveries).toEqual(['delivered'])
  })
})

test('who never stops sending is ended all the same', async () => {
  const server = createServer(socket => closeInStages(socket, { quietMs: 5_000, lingerMs: 200 }))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onStop(() => server.close())
  const { port } = server.address() as AddressInfo // it listens on a port
  const socket: Socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true })
  const ended = new Promise(resolve => void socket.once('error', resolve).once('close', resolve))
  const timer = setInterval(() => socket.write('more'), 10)
  await ended
  clearInterval(timer)
  socket.destroy()
})

describe('a client that sends all of its body before it reads', () => {
  const PIECE = 'x'.repeat(1_000_000)
  const bodies = {
    'with its length': { framing: `Content-Length: ${20 * PIECE.length}`, piece: PIECE },
    'in chunks': {
      framing: 'Transfer-Encoding: chunked',
      piece: `${PIECE.length.toString(16)}\r\n${PIECE}\r\n`,
    },
  }
  const answers: Record<string, (exchange: Exchange) => Promise<unknown> | undefined> = {
    'nobody looked at it': () => undefined,
    'some of it was read': exchange => exchange.readBody(1_000),
  }
  const table = Object.entries(bodies).flatMap(([length, body]) =>
    Object.entries(answers).map(([name, look]) => ({
      name: `${length}, when ${name}`,
      body,
      look,
    })),
  )

  test.for(table)('has its answer: $name', async ({ body, look }) => {
    const server = await serve(async exchange => {
      await look(exchange)
      return textReply('enough')
    })
    const client = await server.connect()
    client.send(post(body.framing, ''))
    for (let count = 0; count < 20; count++) {
      if (client.socket.write(body.piece)) continue
      await Promise.race([once(client.socket, 'drain'), client.closed])
    }
    const response = await client.read()
    expect(response.body.toString()).toBe('enough')
    expect(valuesOf(response, 'connection')).toEqual(['close'])
    await client.closed
    expect(client.errorCode).toBeNull()
  })

  test('does not hold up a drain', async () => {
    const server = await serve(() => textReply('enough'))
    const client = await server.connect()
    client.socket.allowHalfOpen = true
    client.send(post('Content-Length: 900000', 'x'))
    expect((await client.read()).body.toString()).toBe('enough')
    await server.drain(1_000)
  })
})
