import { constants } from 'node:http2'
import { beforeAll, describe, expect, test } from 'vitest'
import type { TlsConfig } from '../../src/config/tls-config.ts'
import { unixMs } from '../../src/core/time.ts'
import { problemReply } from '../../src/flow/answers.ts'
import type { Exchange, Reply } from '../../src/flow/exchange.ts'
import { type CertificateAuthority, createAuthority } from '../support/certificates.ts'
import {
  ask,
  connectHttp2,
  connectRawHttp2,
  END_HEADERS,
  END_STREAM,
  FRAME,
  frame,
  GET,
  headerBlock,
  type RawHttp2,
} from '../support/http2-client.ts'
import { onStop, serve, stopAfterEach, type TestServer, textReply } from './harness.ts'

stopAfterEach()

const { NGHTTP2_ENHANCE_YOUR_CALM, NGHTTP2_PROTOCOL_ERROR, NGHTTP2_CANCEL } = constants

let authority: CertificateAuthority
let tls: TlsConfig

beforeAll(async () => {
  authority = await createAuthority()
  const pair = await authority.issue()
  tls = { ...pair, clientCa: null, notAfter: unixMs(Date.now() + 86_400_000) }
})

interface Opened {
  readonly server: TestServer
  readonly raw: RawHttp2
  /** Targets that came as far as the corridor. */
  readonly seen: string[]
}

async function open(
  answer: (exchange: Exchange) => Reply | Promise<Reply> = () => textReply('ok'),
  settings: Parameters<typeof serve>[1] & {
    readonly hello?: readonly (readonly [number, number])[]
  } = {},
): Promise<Opened> {
  const seen: string[] = []
  const { hello, ...rest } = settings
  const server = await serve(
    exchange => {
      if (exchange.flaw !== null) return problemReply(exchange.flaw.code, exchange.flaw)
      seen.push(exchange.rawTarget)
      return answer(exchange)
    },
    { tls, ...rest },
  )
  const raw = await connectRawHttp2(server.url, authority.cert, hello)
  onStop(() => raw.destroy())
  return { server, raw, seen }
}

const held = (exchange: Exchange) =>
  new Promise<Reply>(resolve => void exchange.onClientGone(() => resolve(textReply(''))))
const fields = (...more: readonly (readonly [string, string])[]) => [...GET, ...more]
const without = (name: string) => GET.filter(([field]) => field !== name)
const withPseudo = (name: string, value: string) =>
  GET.map(([field, old]) => [field, field === name ? value : old] as const)
const error = (code: number): Buffer => {
  const payload = Buffer.alloc(4)
  payload.writeUInt32BE(code)
  return payload
}

describe('a head that nghttp2 refuses never comes as far as the corridor:', () => {
  test.each([
    ['a name in upper case', fields(['X-Upper', 'x'])],
    ['Connection', fields(['connection', 'close'])],
    ['Transfer-Encoding', fields(['transfer-encoding', 'chunked'])],
    ['Upgrade', fields(['upgrade', 'h2c'])],
    ['Keep-Alive', fields(['keep-alive', 'timeout=5'])],
    ['Proxy-Connection', fields(['proxy-connection', 'keep-alive'])],
    ['TE that is not trailers', fields(['te', 'gzip'])],
    ['two lengths', fields(['content-length', '0'], ['content-length', '0'])],
    ['a length and no body', fields(['content-length', '5'])],
    ['a pseudo-header after a header', [...without(':path'), ['a', 'b'], [':path', '/']] as const],
    ['a doubled pseudo-header', fields([':path', '/other'])],
    ['an unknown pseudo-header', [[':status', '200'], ...GET] as const],
    ['no :method', without(':method')],
    ['no :path', without(':path')],
    ['no :scheme', without(':scheme')],
    ['an empty :path', withPseudo(':path', '')],
    ['a :path without a slash', withPseudo(':path', 'http://example.com/')],
    [
      'extended CONNECT',
      [...withPseudo(':method', 'CONNECT'), [':protocol', 'websocket']] as const,
    ],
    ['two Hosts', fields(['host', 'example.com'], ['host', 'example.com'])],
    ['neither Host nor :authority', without(':authority')],
    ['an :authority with user information', withPseudo(':authority', 'a@b')],
    ['a space in :method', withPseudo(':method', 'GET /x')],
  ])('%s', async (_, head) => {
    const { raw, seen } = await open()
    raw.ask(1, head)
    expect(await raw.reset(1)).toBe(NGHTTP2_PROTOCOL_ERROR)
    raw.ask(3)
    expect((await raw.until(FRAME.headers, 3)).stream).toBe(3)
    expect(seen).toEqual(['/'])
  })
})

describe('a head that we refuse is answered with a problem:', () => {
  const codeOf = async (head: Parameters<RawHttp2['ask']>[1], flags?: number) => {
    const { raw, seen } = await open()
    raw.ask(1, head, flags)
    const { payload } = await raw.until(FRAME.data, 1)
    expect(seen).toEqual([])
    return JSON.parse(payload.toString()).code
  }

  test.each([
    ['Host that is not :authority', fields(['host', 'other.example']), 'bad_request_target'],
    ['another :scheme', withPseudo(':scheme', 'http'), 'malformed_request'],
    [
      'CONNECT',
      [
        [':method', 'CONNECT'],
        [':authority', 'a:1'],
      ] as const,
      'malformed_request',
    ],
    ['Expect that is not 100-continue', fields(['expect', '101']), 'expectation_failed'],
    [
      'many headers',
      fields(...Array.from({ length: 101 }, (_, n) => [`x-${n}`, ''] as const)),
      'too_many_headers',
    ],
  ])('%s', async (_, head, code) => {
    expect(await codeOf(head)).toBe(code)
  })

  test('a GET whose body has no length, which would be chunked further on', async () => {
    expect(await codeOf(GET, END_HEADERS)).toBe('malformed_request')
  })
})

test('a field that could be read as two is dropped before anybody sees it', async () => {
  const names: string[] = []
  const { raw } = await open(exchange => {
    names.push(...exchange.rawHeaders)
    return textReply('ok')
  })
  raw.ask(
    1,
    fields(['x-a', 'b\r\nx-payment: c'], ['x-b', 'c\0'], ['x-c: d\r\nx-e', 'f'], ['y', 'z']),
  )
  await raw.until(FRAME.headers, 1)
  expect(names).toEqual(['y', 'z'])
})

test('large headers are answered with a problem', async () => {
  const { raw, seen } = await open(undefined, { limits: { headerBytes: 1_024 } })
  raw.ask(1, fields(['x-a', 'a'.repeat(1_000)]))
  const { payload } = await raw.until(FRAME.data, 1)
  expect(JSON.parse(payload.toString()).code).toBe('headers_too_large')
  expect(seen).toEqual([])
})

test('a head far over the limit ends its stream, and nothing else', async () => {
  const { raw, seen } = await open(undefined, { limits: { headerBytes: 1_024 } })
  raw.ask(
    1,
    fields(...Array.from({ length: 15 }, (_, n) => [`x-${n}`, 'a'.repeat(1_000)] as const)),
  )
  expect(await raw.reset(1)).toBe(NGHTTP2_ENHANCE_YOUR_CALM)
  raw.ask(3)
  await raw.until(FRAME.headers, 3)
  expect(seen).toEqual(['/'])
})

describe('a body', () => {
  const POST = [...withPseudo(':method', 'POST')]
  const readAll = async (exchange: Exchange): Promise<Reply> => {
    const read = await exchange.readBody(10_000)
    return textReply(read.kind)
  }

  test('that is shorter than it said is refused', async () => {
    const { raw, server } = await open(readAll)
    raw.ask(1, [...POST, ['content-length', '5']], END_HEADERS)
    raw.send(frame(FRAME.data, END_STREAM, 1, Buffer.from('1234')))
    expect(await raw.reset(1)).toBe(NGHTTP2_PROTOCOL_ERROR)
    await expect.poll(() => server.deliveries).toEqual(['aborted'])
  })

  test('that breaks off is never taken for a whole one', async () => {
    for (const code of [0, NGHTTP2_CANCEL]) {
      const bodies: string[] = []
      const { raw, server } = await open(async exchange => {
        const chunks: string[] = []
        const body = exchange.bodyStream()
        body?.on('data', chunk => chunks.push(String(chunk)))
        body?.once('end', () => bodies.push('whole'))
        body?.once('error', () => bodies.push('broken'))
        return held(exchange)
      })
      raw.ask(1, POST, END_HEADERS)
      raw.send(frame(FRAME.data, 0, 1, Buffer.from('part')))
      await expect.poll(() => server.inFlight).toBe(1)
      raw.send(frame(FRAME.rstStream, 0, 1, error(code)))
      await expect.poll(() => bodies).toEqual(['broken'])
    }
  })

  test.each([
    ['of nothing that has come', [frame(FRAME.data, END_STREAM, 1, Buffer.alloc(0))], 'read ""'],
    [
      'that was taken back',
      [
        frame(FRAME.data, 0, 1, Buffer.from('part')),
        frame(FRAME.rstStream, 0, 1, error(NGHTTP2_CANCEL)),
      ],
      'broken',
    ],
  ])('%s before anybody wants it has an end all the same', async (_, frames, found) => {
    const later = Promise.withResolvers<void>()
    const bodies: string[] = []
    const { raw } = await open(async exchange => {
      if (exchange.method === 'GET') later.resolve()
      else {
        await later.promise
        await exchange.readBody(100).then(
          body => bodies.push(`read "${body.kind === 'whole' ? body.bytes : ''}"`),
          () => bodies.push('broken'),
        )
      }
      return textReply('ok')
    })
    raw.ask(1, POST, END_HEADERS)
    raw.send(...frames)
    raw.ask(3)
    await expect.poll(() => bodies).toEqual([found])
  })

  test('over the limit is refused, with or without a length', async () => {
    const { server } = await open(readAll, { limits: { bodyBytes: 1_000 } })
    const session = await connectHttp2(server.url, { ca: authority.cert })
    onStop(() => session.destroy())
    const head = { ':path': '/', ':authority': 'a', ':method': 'POST' }
    expect((await ask(session, head, 'x'.repeat(2_000))).status).toBe(413)
  })

  test('that comes too slowly is answered with 408, and nobody works on for it', async () => {
    const left = Promise.withResolvers<void>()
    const { raw } = await open(
      exchange => {
        exchange.onClientGone(left.resolve)
        exchange.bodyStream()?.resume()
        return held(exchange)
      },
      { limits: { requestTimeoutMs: 100 } },
    )
    raw.ask(1, POST, END_HEADERS)
    raw.send(frame(FRAME.data, 0, 1, Buffer.from('slow')))
    const { payload } = await raw.until(FRAME.data, 1)
    expect(JSON.parse(payload.toString()).code).toBe('request_timeout')
    await left.promise
  })

  test('may go on for as long as it likes once its answer has begun', async () => {
    const { raw } = await open(
      exchange => {
        const body = exchange.bodyStream()
        return {
          ...textReply(''),
          body: {
            cancel: () => undefined,
            async pipeTo(sink) {
              sink.write(Buffer.from('begun'))
              for await (const chunk of body ?? []) sink.write(chunk)
              sink.end([])
              return 'delivered'
            },
          },
        }
      },
      { limits: { requestTimeoutMs: 100 } },
    )
    raw.ask(1, POST, END_HEADERS)
    raw.send(frame(FRAME.data, 0, 1, Buffer.from('one')))
    expect((await raw.until(FRAME.data, 1)).payload.toString()).toBe('begun')
    const { promise: later, resolve } = Promise.withResolvers<void>()
    setTimeout(resolve, 150)
    await later
    raw.send(frame(FRAME.data, END_STREAM, 1, Buffer.from('two')))
    const texts: string[] = []
    for (let found = await raw.until(FRAME.data, 1); ; found = await raw.until(FRAME.data, 1)) {
      texts.push(found.payload.toString())
      if ((found.flags & END_STREAM) !== 0) break
    }
    expect(texts.join('')).toBe('onetwo')
  })
})

describe('an answer that is a head alone reaches a client whose body', () => {
  const answer = (status: number) => () => ({ ...textReply(''), status })
  const rest = frame(FRAME.data, END_STREAM, 1, Buffer.from('abc'))

  test.each([
    ['HEAD', 200],
    ['POST', 200],
    ['POST', 204],
  ])('has not come, comes later, or came with it: %s, %i', async (method, status) => {
    const head = [...withPseudo(':method', method), ['content-length', '3'] as const]
    for (const when of ['never', 'later', 'at once']) {
      const { raw, server } = await open(answer(status))
      raw.ask(1, head, END_HEADERS)
      if (when === 'at once') raw.send(rest)
      expect((await raw.until(FRAME.headers, 1, FRAME.rstStream)).type).toBe(FRAME.headers)
      if (when === 'later') raw.send(rest)
      await expect.poll(() => server.deliveries).toEqual(['delivered'])
    }
  })
})

describe('a connection ends, and its client is told to calm down,', () => {
  test('when requests are taken back again and again (CVE-2023-44487)', async () => {
    const { raw, seen } = await open(held)
    const takeBack = async (): Promise<void> => {
      for (let stream = 1; stream < 2_000; stream += 2) {
        raw.ask(stream)
        raw.send(frame(FRAME.rstStream, 0, stream, error(NGHTTP2_CANCEL)))
        if (stream % 20 !== 1) continue
        raw.send(frame(FRAME.ping, 0, 0, Buffer.alloc(8)))
        const { type, payload } = await raw.until(FRAME.ping, 0, FRAME.goaway)
        if (type === FRAME.goaway) throw new Error(String(payload.readUInt32BE(4)))
      }
    }
    await expect(takeBack()).rejects.toThrow(String(NGHTTP2_ENHANCE_YOUR_CALM))
    expect(seen.length).toBeLessThan(300)
  })

  test('when it makes us reset its streams again and again (CVE-2025-8671)', async () => {
    const { raw, seen } = await open(held)
    for (let stream = 1; stream < 800; stream += 2) {
      raw.ask(stream)
      // A window may not grow by nothing (RFC 9113 section 6.9).
      raw.send(frame(FRAME.windowUpdate, 0, stream, Buffer.alloc(4)))
    }
    await raw.ended()
    expect(seen.length).toBeLessThan(300)
  })

  test.each([
    ['PINGs', frame(FRAME.ping, 0, 0, Buffer.alloc(8)), FRAME.ping],
    ['SETTINGS', frame(FRAME.settings, 0, 0, Buffer.alloc(0)), FRAME.settings],
  ] as const)('when it floods us with %s and reads our answers', async (_, question, answer) => {
    const { raw } = await open()
    let answers = 0
    const flood = async (): Promise<void> => {
      for (; answers < 20_000; answers += 200) {
        raw.send(...Array.from({ length: 200 }, () => question))
        for (let read = 0; read < 200; read++) await raw.until(answer)
      }
    }
    await flood().catch(() => undefined)
    expect(answers).toBeLessThan(10_000)
  })
})

test('a connection whose head is continued without end is ended by nghttp2 (CVE-2024-27316)', async () => {
  const { raw, seen } = await open()
  raw.ask(1, GET, END_STREAM)
  const more = frame(FRAME.continuation, 0, 1, headerBlock([['x-a', 'b']]))
  raw.send(...Array.from({ length: 100 }, () => more))
  await raw.ended()
  expect(seen).toEqual([])
})

describe('streams', () => {
  test('beyond the limit that the client knew of end its connection', async () => {
    const { raw, seen } = await open(held)
    for (let stream = 1; stream <= 201; stream += 2) raw.ask(stream)
    await raw.ended()
    expect(seen).toHaveLength(100)
  })

  test('whose window is never opened end after a while', async () => {
    const noWindow: readonly (readonly [number, number])[] = [[4, 0]]
    const { raw, server } = await open(() => textReply('x'.repeat(100)), {
      hello: noWindow,
      stallMsMax: 100,
    })
    raw.ask(1)
    expect(await raw.reset(1)).toBe(constants.NGHTTP2_INTERNAL_ERROR)
    await expect.poll(() => server.deliveries).toEqual(['aborted'])
  })
})

test('a connection that asks for nothing ends', async () => {
  const { raw } = await open(undefined, { limits: { requestTimeoutMs: 100 } })
  expect(await raw.ended()).toBe(0)
})

test.each([[], ['Content-Length', '100']])(
  'a reply that breaks off is reset, and never looks whole',
  async (...headers) => {
    const { raw, server } = await open(() => ({
      ...textReply('', headers),
      body: {
        cancel: () => undefined,
        async pipeTo(sink) {
          sink.write(Buffer.from('part'))
          sink.destroy()
          return 'aborted'
        },
      },
    }))
    raw.ask(1)
    const types: number[] = []
    let found = await raw.next()
    for (; found.type !== FRAME.rstStream; found = await raw.next()) {
      types.push(found.type)
      if (found.stream === 1) expect(found.flags & END_STREAM).toBe(0)
    }
    expect(types).toContain(FRAME.headers)
    await expect.poll(() => server.deliveries).toEqual(['aborted'])
  },
)
