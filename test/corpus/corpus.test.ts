import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { whyNoNginx } from '../support/nginx.ts'
import { connectRaw, type RawClient, type RawResponse } from '../support/raw-client.ts'
import { bytesOf, type CorpusEntry, readCorpus } from './entries.ts'
import { expectSeen, PROBE_TARGET } from './expect-seen.ts'
import { startNginxRecorder } from './nginx-recorder.ts'
import { FRAMEWORKS, type Recorder, startRecorder } from './recorders.ts'
import { openShop, type Shop } from './shop.ts'

const corpus = readCorpus()

test('is as large as it must be, and every entry has its own name', () => {
  const names = [...corpus].flatMap(([theme, entries]) =>
    entries.map(({ name }) => `${theme}: ${name}`),
  )
  expect(names.length).toBeGreaterThanOrEqual(150)
  expect(new Set(names).size).toBe(names.length)
})

const noNginx = whyNoNginx()

describe.each(FRAMEWORKS)('in front of %s', framework => {
  behaves(() => startRecorder(framework))
})

describe.skipIf(noNginx !== null)(
  `in front of nginx${noNginx === null ? '' : `: ${noNginx}`}`,
  () => {
    // nginx itself opens no WebSockets.
    behaves(
      () => startNginxRecorder([...corpus.values()].flat()),
      ({ tunnels }) => tunnels === undefined,
    )
  },
)

function behaves(
  start: () => Promise<Recorder>,
  isFor: (entry: CorpusEntry) => boolean = () => true,
): void {
  const all = [...corpus.values()].flat().filter(isFor)
  let recorder: Recorder
  let shop: Shop

  beforeAll(async () => {
    recorder = await start()
    shop = await openShop(recorder.url)
  })

  afterAll(async () => {
    await shop[Symbol.asyncDispose]()
    await recorder.close()
  })

  describe.each([...corpus])('%s', (_theme, entries) => {
    test.each(entries.filter(isFor))('$name', async entry => {
      recorder.seen.length = 0
      await answersAsExpected(entry, shop.gateway.url)
      await expectSeen(entry, recorder)
    })
  })

  test('counted as many requests as farebox, and misread none', async () => {
    const whole = all.flatMap(({ seen }) => seen).length
    const probes = all.filter(({ stays }) => stays).length
    await expect.poll(() => shop.forwarded()).toBeGreaterThanOrEqual(whole + probes)
    await recorder.catchUp()
    expect(recorder.refused()).toBe(0)
    const cut = all.filter(({ mayBeCut }) => mayBeCut).length
    expect(shop.forwarded()).toBeLessThanOrEqual(whole + probes + cut)
    expect(recorder.begun()).toBeGreaterThanOrEqual(whole + probes)
    expect(recorder.begun()).toBeLessThanOrEqual(shop.forwarded())
  })
}

const PROBE = `GET ${PROBE_TARGET} HTTP/1.1\r\nHost: shop.test\r\n\r\n`

async function answersAsExpected(entry: CorpusEntry, url: string): Promise<void> {
  const client = await connectRaw(url)
  try {
    client.send(bytesOf(entry))
    const method = entry.send.startsWith('HEAD ') ? 'HEAD' : 'GET'
    const answers: RawResponse[] = []
    for (const _ of entry.answers) answers.push(await client.read(method))
    expect(answers.map(({ status }) => status)).toEqual(entry.answers)
    if (entry.code !== undefined && method === 'GET') {
      expect(JSON.parse(String(answers.at(-1)?.body))).toMatchObject({ code: entry.code })
    }
    await endsAsExpected(client, entry)
  } finally {
    client.destroy()
  }
}

/** No answer more than there should be, and a connection that is good or over. */
async function endsAsExpected(client: RawClient, entry: CorpusEntry): Promise<void> {
  if (entry.tunnels !== undefined) {
    const { length } = entry.tunnels
    expect((await client.readBytes(length)).toString('latin1')).toBe(entry.tunnels)
    client.send(PROBE)
    expect((await client.readBytes(PROBE.length)).toString('latin1')).toBe(PROBE)
    return
  }
  if (!entry.stays) {
    expect((await client.readToEnd()).toString('latin1')).toBe('')
    return
  }
  client.send(PROBE)
  expect((await client.read()).status).toBe(200)
}
