import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type CertificateAuthority, createAuthority } from '../support/certificates.ts'
import {
  connectRawHttp2,
  END_STREAM,
  FRAME,
  GET,
  NO_TABLE,
  type RawHttp2,
  statusOf,
} from '../support/http2-client.ts'
import { whyNoNginx } from '../support/nginx.ts'
import { expectSeen, PROBE_TARGET } from './expect-seen.ts'
import { codeOf, framesOf, type Http2Entry, isFor, readHttp2Corpus } from './http2-entries.ts'
import { startHttp2Recorder } from './http2-recorder.ts'
import { startNginxRecorder } from './nginx-recorder.ts'
import { type Recorder, startRecorder } from './recorders.ts'
import { openShop, type Shop } from './shop.ts'

const corpus = readHttp2Corpus()
const all = [...corpus.values()].flat()
const noNginx = whyNoNginx()
let authority: CertificateAuthority

beforeAll(async () => {
  authority = await createAuthority()
})

test('is as large as it must be, and every entry has its own name', () => {
  const names = [...corpus].flatMap(([theme, entries]) =>
    entries.map(({ name }) => `${theme}: ${name}`),
  )
  expect(names.length).toBeGreaterThanOrEqual(200)
  expect(new Set(names).size).toBe(names.length)
})

describe('in front of node:http', () => behaves(() => startRecorder('node:http')))

describe.skipIf(noNginx !== null)(
  `in front of nginx${noNginx === null ? '' : `: ${noNginx}`}`,
  () => behaves(() => startNginxRecorder(all)),
)

describe('in front of node:http2', () => behaves(startHttp2Recorder, { http2: true }))

function behaves(start: () => Promise<Recorder>, upstream: { readonly http2?: boolean } = {}) {
  let recorder: Recorder
  let shop: Shop

  beforeAll(async () => {
    recorder = await start()
    shop = await openShop(recorder.url, { certificate: await authority.issue(), ...upstream })
  })

  afterAll(async () => {
    await shop[Symbol.asyncDispose]()
    await recorder.close()
  })

  describe.each([...corpus])('%s', (_theme, entries) => {
    test.each(entries)('$name', async entry => {
      recorder.seen.length = 0
      await answersAsExpected(entry, shop.gateway.url)
      await expectSeen(entry, recorder, 'in any order')
    })
  })

  test('counted as many requests as farebox, and misread none', async () => {
    const whole = all.flatMap(({ seen }) => seen).length
    const probes = all.filter(({ ends }) => ends === undefined).length
    await expect.poll(() => shop.forwarded()).toBeGreaterThanOrEqual(whole + probes)
    await recorder.catchUp()
    expect(recorder.refused()).toBe(0)
    expect(recorder.begun()).toBeGreaterThanOrEqual(whole + probes)
    // One that was cut off is written down after its upstream has seen it.
    await expect.poll(() => shop.forwarded()).toBeGreaterThanOrEqual(recorder.begun())
    const cut = all.filter(({ mayBeCut }) => mayBeCut).length
    expect(shop.forwarded()).toBeLessThanOrEqual(whole + probes + cut)
  })
}

const PROBE = GET.map(([name, value]): readonly [string, string] => {
  if (name === ':path') return [name, PROBE_TARGET]
  return name === ':authority' ? [name, 'shop.test'] : [name, value]
})
const PROBE_STREAM = 99

async function answersAsExpected(entry: Http2Entry, url: string): Promise<void> {
  const client = await connectRawHttp2(url, authority.cert, NO_TABLE)
  try {
    client.send(framesOf(entry))
    const heard = new Conversation(client)
    if (entry.ends !== undefined) {
      expect(await client.ended()).toBe(codeOf(entry.ends))
      return
    }
    for (const [index, answer] of entry.answers.entries()) {
      if (answer === null) continue
      const wanted = typeof answer === 'number' ? answer : codeOf(answer)
      expect(await heard.answerTo(2 * index + 1)).toBe(wanted)
    }
    if (entry.code !== undefined && !isFor(entry, 'HEAD')) {
      expect(JSON.parse(await heard.bodyOf(1))).toMatchObject({ code: entry.code })
    }
    client.ask(PROBE_STREAM, PROBE)
    expect(await heard.answerTo(PROBE_STREAM)).toBe(200)
  } finally {
    client.destroy()
  }
}

/** What has come of each stream so far. */
class Conversation {
  readonly #client: RawHttp2
  /** The status, or the error code of a stream that was reset without one. */
  readonly #answers = new Map<number, number>()
  readonly #bodies = new Map<number, string>()
  readonly #ended = new Set<number>()

  constructor(client: RawHttp2) {
    this.#client = client
  }

  async answerTo(stream: number): Promise<number> {
    for (;;) {
      const known = this.#answers.get(stream)
      if (known !== undefined) return known
      await this.#read()
    }
  }

  async bodyOf(stream: number): Promise<string> {
    while (!this.#ended.has(stream)) await this.#read()
    return this.#bodies.get(stream) ?? ''
  }

  async #read(): Promise<void> {
    const { type, flags, stream, payload } = await this.#client.next()
    if (type === FRAME.goaway) throw new Error(`ended with ${payload.readUInt32BE(4)}`)
    if (type === FRAME.headers && !this.#answers.has(stream)) {
      const status = statusOf(payload)
      if (status >= 200) this.#answers.set(stream, status)
    }
    if (type === FRAME.data) {
      this.#bodies.set(stream, (this.#bodies.get(stream) ?? '') + payload.toString('latin1'))
    }
    if (type === FRAME.rstStream && !this.#answers.has(stream)) {
      this.#answers.set(stream, payload.readUInt32BE(0))
    }
    const isEnd = (flags & END_STREAM) !== 0 && (type === FRAME.headers || type === FRAME.data)
    if (isEnd || type === FRAME.rstStream) this.#ended.add(stream)
  }
}
