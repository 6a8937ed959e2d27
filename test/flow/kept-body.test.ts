import fc from 'fast-check'
import { expect, test, vi } from 'vitest'
import { BodyCopy } from '../../src/flow/body-copy.ts'
import type { Delivery, ReplySink, ReplyStream } from '../../src/flow/exchange.ts'
import { KeptBody, StoredBody } from '../../src/flow/kept-body.ts'
import { createRoom } from '../../src/flow/room.ts'

/** An upstream's body that a test sends piece by piece. */
class Source implements ReplyStream {
  sink: ReplySink | null = null
  cancelled = 0
  readonly #piped = Promise.withResolvers<Delivery>()

  pipeTo(sink: ReplySink): Promise<Delivery> {
    this.sink = sink
    return this.#piped.promise
  }

  cancel(): void {
    this.cancelled += 1
    this.#piped.resolve('aborted')
  }

  /** True: it may go on at once. */
  send(text: string): boolean {
    return this.sink?.write(Buffer.from(text)) ?? false
  }

  end(trailers: readonly string[] = []): void {
    this.sink?.end(trailers)
    this.#piped.resolve('delivered')
  }
}

/** A client that takes `room` more writes before it has to be waited for. */
class Client implements ReplySink {
  readonly got: string[] = []
  room = Number.POSITIVE_INFINITY
  drain: (() => void) | null = null

  write(chunk: Buffer): boolean {
    this.got.push(chunk.toString())
    this.room -= 1
    return this.room > 0
  }

  drained(callback: () => void): void {
    this.drain = callback
  }

  end(trailers: readonly string[]): void {
    this.got.push(`end ${trailers.join()}`)
  }

  destroy(): void {
    this.got.push('destroyed')
  }
}

function build(options: { length?: number | null; bytesMax?: number; readOnMsMax?: number } = {}) {
  const { length = null, bytesMax = 100, readOnMsMax = 1_000 } = options
  const room = createRoom(1_000)
  const source = new Source()
  const client = new Client()
  const kept: string[] = []
  const durable = Promise.withResolvers<void>()
  const keep = (body: Buffer, trailers: readonly string[]): Promise<void> => {
    kept.push(`${body} ${trailers.join()}`)
    return durable.promise
  }
  const copy = new BodyCopy(room, bytesMax)
  const body = new KeptBody(source, { copy, length, keep, readOnMsMax })
  const isRoomGivenBack = () => room.take(1_000)
  return { source, client, kept, durable, body, isRoomGivenBack }
}

test('pieces pass at once, and the end waits until the copy is kept', async () => {
  const { source, client, kept, durable, body, isRoomGivenBack } = build()
  const piped = body.pipeTo(client)
  source.send('one ')
  source.send('two')
  expect(client.got).toEqual(['one ', 'two'])
  source.end(['X-Sum', '7'])
  await Promise.resolve()
  expect(kept).toEqual(['one two X-Sum,7'])
  expect(client.got).toEqual(['one ', 'two'])
  durable.resolve()
  expect(await piped).toBe('delivered')
  expect(client.got).toEqual(['one ', 'two', 'end X-Sum,7'])
  expect(isRoomGivenBack()).toBe(true)
})

test('of a body that says how long it is, the last bytes wait as well', async () => {
  const { source, client, durable, body } = build({ length: 7 })
  const piped = body.pipeTo(client)
  source.send('one ')
  expect(source.send('two')).toBe(true)
  expect(client.got).toEqual(['one '])
  source.end()
  expect(client.got).toEqual(['one '])
  durable.resolve()
  await piped
  expect(client.got).toEqual(['one ', 'two', 'end '])
})

test('a slow client holds the upstream, until it drains or leaves', () => {
  const { source, client, body } = build()
  void body.pipeTo(client)
  client.room = 1
  expect(source.send('one')).toBe(false)
  const resumed = vi.fn()
  source.sink?.drained(resumed)
  expect(resumed).not.toHaveBeenCalled()
  client.drain?.()
  expect(resumed).toHaveBeenCalledTimes(1)
  source.sink?.drained(resumed)
  body.cancel()
  expect(resumed).toHaveBeenCalledTimes(2)
  client.drain?.()
  expect(resumed).toHaveBeenCalledTimes(2)
})

test('a body that proves too long passes on unkept, and gives its memory back', async () => {
  const { source, client, kept, body, isRoomGivenBack } = build({ bytesMax: 5 })
  const piped = body.pipeTo(client)
  source.send('123')
  source.send('456')
  await body.finished
  expect(isRoomGivenBack()).toBe(true)
  source.end()
  await piped
  expect(client.got).toEqual(['123', '456', 'end '])
  expect(kept).toEqual([])
  body.cancel()
})

test('a client that leaves: the rest is read, kept and written nowhere', async () => {
  const { source, client, kept, durable, body } = build()
  void body.pipeTo(client)
  source.send('one ')
  body.cancel()
  body.cancel()
  expect(source.send('two')).toBe(true)
  durable.resolve()
  source.end()
  await body.finished
  expect(kept).toEqual(['one two '])
  expect(client.got).toEqual(['one '])
  expect(source.cancelled).toBe(0)
})

test('a client that left before its answer: the body is asked for all the same', async () => {
  const { source, kept, durable, body } = build()
  body.cancel()
  source.send('all')
  durable.resolve()
  source.end()
  await body.finished
  expect(kept).toEqual(['all '])
})

test.each(['too slow', 'too long'])(
  'without a client, a body that is %s is given up',
  async how => {
    const { source, client, kept, body, isRoomGivenBack } = build({ bytesMax: 5, readOnMsMax: 1 })
    void body.pipeTo(client)
    source.send('123')
    body.cancel()
    if (how === 'too long') source.send('456')
    await body.finished
    expect(source.cancelled).toBe(1)
    expect(kept).toEqual([])
    expect(isRoomGivenBack()).toBe(true)
  },
)

test('an upstream that breaks ends the client, and nothing is kept', async () => {
  const { source, client, kept, body, isRoomGivenBack } = build({ length: 3 })
  void body.pipeTo(client)
  source.send('on')
  source.sink?.destroy()
  await body.finished
  expect(client.got).toEqual(['on', 'destroyed'])
  expect(kept).toEqual([])
  expect(isRoomGivenBack()).toBe(true)
})

test('where the room is full, bodies pass unkept', async () => {
  const room = createRoom(10)
  expect(room.take(4)).toBe(true)
  const source = new Source()
  const client = new Client()
  const keep = vi.fn()
  const copy = new BodyCopy(room, 100)
  const body = new KeptBody(source, { copy, length: 3, keep, readOnMsMax: 1 })
  void body.pipeTo(client)
  source.send('123')
  source.end()
  await body.finished
  expect(client.got).toEqual(['123', 'end '])
  expect(keep).not.toHaveBeenCalled()
})

test('a copy is what came, however it was cut', () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 30_000, size: 'max' }), { maxLength: 8 }),
      all => {
        const copy = new BodyCopy(createRoom(10 ** 6), 10 ** 6)
        for (const piece of all) expect(copy.add(Buffer.from(piece))).toBe(true)
        expect(copy.bytes().equals(Buffer.concat(all))).toBe(true)
      },
    ),
    { numRuns: 50 },
  )
})

test('a stored body is written whole, with its trailers', async () => {
  const client = new Client()
  const bytes = new TextEncoder().encode('xxbodyxx').subarray(2, 6)
  expect(await new StoredBody(bytes, ['X-Sum', '1']).pipeTo(client)).toBe('delivered')
  expect(client.got).toEqual(['body', 'end X-Sum,1'])
  expect(new StoredBody(bytes, ['X-Sum', '1']).whole).toBe(null)
  expect(new StoredBody(bytes, []).whole?.toString()).toBe('body')
})
