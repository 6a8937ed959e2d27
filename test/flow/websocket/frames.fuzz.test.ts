import { once } from 'node:events'
import { duplexPair } from 'node:stream'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { closeFrame, FrameMarks } from '../../../src/flow/websocket/frames.ts'

/** One frame as RFC 6455 section 5.2 draws it, its length in the shortest form or a longer one. */
function frameOf(
  payload: Uint8Array,
  { opcode, isMasked, form }: { opcode: number; isMasked: boolean; form: 0 | 2 | 8 },
): Buffer {
  const { length } = payload
  const bytes = length > 65_535 ? 8 : length > 125 ? Math.max(form, 2) : form
  const marker = bytes === 8 ? 127 : bytes === 2 ? 126 : length
  const extended = Buffer.alloc(bytes)
  if (bytes === 2) extended.writeUInt16BE(length)
  if (bytes === 8) extended.writeBigUInt64BE(BigInt(length))
  const mask = Buffer.alloc(isMasked ? 4 : 0, 7)
  const head = Buffer.from([0x80 | opcode, (isMasked ? 0x80 : 0) | marker])
  return Buffer.concat([head, extended, mask, payload])
}

const frame = fc
  .record({
    payload: fc
      .oneof(
        { weight: 9, arbitrary: fc.oneof(fc.nat(10), fc.constantFrom(125, 126)) },
        { weight: 1, arbitrary: fc.constantFrom(65_535, 65_536) },
      )
      .map(length => new Uint8Array(length).fill(0x88)),
    opcode: fc.constantFrom(0, 1, 2, 9, 10),
    isMasked: fc.boolean(),
    form: fc.constantFrom(0 as const, 2 as const, 8 as const),
  })
  .map(({ payload, ...how }) => frameOf(payload, how))

/** Cuts that fall anywhere: many in small frames, and few enough in large ones. */
const cuts = fc.array(fc.oneof(fc.nat(20), fc.integer({ min: 1_000, max: 30_000 })), {
  minLength: 1,
  maxLength: 20,
})

test('it finds every end of a frame, however the bytes are cut', () => {
  fc.assert(
    fc.property(fc.array(frame, { maxLength: 6 }), cuts, (frames, sizes) => {
      const wire = Buffer.concat(frames)
      const ends = [0]
      for (const { length } of frames) ends.push((ends.at(-1) ?? 0) + length)
      const marks = new FrameMarks()
      const found: number[] = []
      const expected: number[] = []
      for (let at = 0, turn = 0; at < wire.length; turn++) {
        const size = wire.length > 2_000 ? 3_000 : (sizes[turn % sizes.length] ?? 0) + 1
        const chunk = wire.subarray(at, at + size)
        const last = ends.findLast(end => end <= at + chunk.length) ?? 0
        found.push(marks.pass(chunk))
        expected.push(last < at ? -1 : last - at)
        at += chunk.length
      }
      expect(found).toEqual(expected)
      expect(marks.isBetweenFrames).toBe(true)
      expect(marks.hasClose).toBe(false)
    }),
    { numRuns: 300 },
  )
})

test('no bytes throw, and it is never between frames in the middle of one', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), cuts, (bytes, sizes) => {
      const whole = new FrameMarks()
      const last = whole.pass(Buffer.from(bytes))
      const pieces = new FrameMarks()
      for (let at = 0, turn = 0; at < bytes.length; turn++) {
        const size = (sizes[turn % sizes.length] ?? 0) + 1
        pieces.pass(Buffer.from(bytes.subarray(at, at + size)))
        at += size
      }
      expect(pieces.isBetweenFrames).toBe(whole.isBetweenFrames)
      expect(whole.isBetweenFrames).toBe(last === bytes.length)
    }),
    { numRuns: 1_000 },
  )
})

test.each(['client', 'server'] as const)(
  'a Close frame to a %s is what ws takes for one',
  async to => {
    const [ours, theirs] = duplexPair()
    // Its own way of being told that a connection is open: what `handleUpgrade` does.
    const socket = new WebSocket(null as never, undefined, { isServer: to === 'server' } as never)
    const raw = Object.assign(theirs, { setTimeout() {}, setNoDelay() {} })
    const open = socket as unknown as { setSocket(...args: unknown[]): void; _isServer: boolean }
    open._isServer = to === 'server'
    open.setSocket(raw, Buffer.alloc(0), { maxPayload: 1_000, skipUTF8Validation: false })
    const closed = once(socket, 'close')
    const frame = closeFrame(1001, 'max_duration', to)
    const marks = new FrameMarks()
    expect(marks.pass(frame)).toBe(frame.length)
    expect(marks.hasClose).toBe(true)
    ours.resume()
    ours.end(frame)
    const [code, reason] = await closed
    expect([code, String(reason)]).toEqual([1001, 'max_duration'])
  },
)
