import { beforeAll, describe, expect, test } from 'vitest'
import type { TlsConfig } from '../../src/config/tls-config.ts'
import { unixMs } from '../../src/core/time.ts'
import type { Reply } from '../../src/flow/exchange.ts'
import { type CertificateAuthority, createAuthority } from '../support/certificates.ts'
import { connectRawHttp2, FRAME, frame } from '../support/http2-client.ts'
import { CutShortError } from '../support/raw-client.ts'
import { get, onStop, post, serve, stopAfterEach, textReply } from './harness.ts'

stopAfterEach()

const answerStatus = (text: Buffer): string | undefined =>
  /^HTTP\/1\.1 (\d{3})/.exec(text.toString('latin1'))?.[1]

test('a head that never ends is answered with 408', async () => {
  const server = await serve(() => textReply(''), { limits: { requestTimeoutMs: 200 } })
  const client = await server.connect()
  client.send('GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ')
  expect(answerStatus(await client.readToEnd())).toBe('408')
})

test('a body that never ends is answered with 408', async () => {
  const server = await serve(
    async exchange => {
      await exchange.readBody(1_000)
      return textReply('')
    },
    { limits: { requestTimeoutMs: 200 } },
  )
  const client = await server.connect()
  client.send(post('Content-Length: 10', 'slow'))
  expect(answerStatus(await client.readToEnd())).toBe('408')
})

test('a long answer that nobody reads is given up', async () => {
  const body = Buffer.alloc(32 * 1024 * 1024)
  const server = await serve(() => ({ ...textReply(''), body }), { stallMsMax: 200 })
  const client = await server.connect()
  client.send(get('/'))
  await expect.poll(() => server.deliveries).toEqual(['aborted'])
})

test('connections beyond the limit are closed, and those within it are served', async () => {
  const server = await serve(() => textReply('ok'), { limits: { connections: 1 } })
  const first = await server.connect()
  first.send(get('/'))
  expect((await first.read()).status).toBe(200)
  const second = await server.connect()
  expect(await second.readToEnd()).toHaveLength(0)
  first.send(get('/'))
  expect((await first.read()).status).toBe(200)
  first.destroy()
  await expect
    .poll(async () => {
      const next = await server.connect()
      next.send(get('/', 'Connection: close\r\n'))
      return (await next.readToEnd()).length
    })
    .toBeGreaterThan(0)
})

/** It never stands still for long, and takes far less than a gigabyte a second. */
describe('a reply whose client takes it drop by drop', () => {
  const GIB = 1024 ** 3
  const DROP = 64 * 1024
  const stallMsMax = 600
  const fast = { limits: { replyBytesPerSecondMin: GIB }, stallMsMax }
  const slow = { limits: { replyBytesPerSecondMin: 1_000 }, stallMsMax }
  /** Longer than a client may stand still. */
  const DROPS = 40
  const DROP_EVERY_MS = 40

  let authority: CertificateAuthority
  let tls: TlsConfig

  beforeAll(async () => {
    authority = await createAuthority()
    const pair = await authority.issue()
    tls = { ...pair, clientCa: null, notAfter: unixMs(Date.now() + 86_400_000) }
  })

  /** Without an end, and as fast as it is taken. */
  const endless = (): Reply => {
    let isOver = false
    return {
      ...textReply(''),
      body: {
        cancel() {
          isOver = true
        },
        pipeTo(sink) {
          const more = (): void => {
            while (!isOver && sink.write(Buffer.alloc(DROP)));
            sink.drained(more)
          }
          more()
          return new Promise(() => undefined)
        },
      },
    }
  }

  /** Takes a drop at a time until there have been so many, or it is cut off. */
  async function drip(take: () => Promise<unknown>): Promise<void> {
    for (let count = 0; count < DROPS; count++) {
      const { promise: later, resolve } = Promise.withResolvers<void>()
      setTimeout(resolve, DROP_EVERY_MS)
      await later
      const isCut = await take().then(
        () => false,
        (error: unknown) => error instanceof CutShortError,
      )
      if (isCut) return
    }
  }

  async function dripHttp1(settings: typeof fast) {
    const server = await serve(endless, settings)
    const client = await server.connect()
    client.send(get('/'))
    await client.readHead()
    // The system holds some megabytes, and asks for more only when some of them are gone.
    await drip(() => client.readBytes(16 * DROP))
    return server
  }

  async function dripHttp2(settings: typeof fast) {
    const server = await serve(endless, { ...settings, tls })
    const raw = await connectRawHttp2(server.url, authority.cert)
    onStop(() => raw.destroy())
    raw.ask(1)
    const grant = Buffer.alloc(4)
    grant.writeUInt32BE(DROP)
    await drip(async () => {
      raw.send(frame(FRAME.windowUpdate, 0, 0, grant), frame(FRAME.windowUpdate, 0, 1, grant))
      for (let bytes = 0; bytes < DROP; ) {
        const { type, payload } = await raw.until(FRAME.data, 1, FRAME.rstStream)
        if (type === FRAME.rstStream) throw new CutShortError(payload)
        bytes += payload.length
      }
    })
    return server
  }

  test.each([
    ['HTTP/1.1', dripHttp1],
    ['HTTP/2', dripHttp2],
  ])('over %s is given up below the least pace, and goes on above it', async (_, dripped) => {
    const server = await dripped(fast)
    await expect.poll(() => server.deliveries).toEqual(['aborted'])
    expect((await dripped(slow)).deliveries).toEqual([])
  })
})
