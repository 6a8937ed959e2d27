import fc from 'fast-check'
import { type Http2Entry, readHttp2Corpus } from '../../corpus/http2-entries.ts'
import { FRAME } from '../../support/http2-client.ts'
import { type Mutation, mutate, mutationOf } from './mutations.ts'

/** What a client says on one connection. */
export type Conversation = readonly Step[]
type Step = Http2Entry['send'][number]

/** What HTTP/1.1 would read otherwise, or what stands for something else in HTTP/2. */
const FIELDS = [
  ...['content-length: 3', 'content-length: 0', 'content-length: 03', 'content-length: +3'],
  ...['content_length: 9', 'Content-Length: 3', 'transfer-encoding: chunked', 'te: trailers'],
  ...['transfer_encoding: chunked', 'connection: close', 'connection: x-a', 'upgrade: h2c'],
  ...['host: shop.test', 'host: evil.test', ':authority: evil.test', ':authority: shop.test'],
  ...[':path: /free/b', ':path: /paid', ':method: POST', ':method: CONNECT', ':scheme: http'],
  ...[':protocol: websocket', ':status: 200', 'expect: 100-continue', 'trailer: x-a'],
  ...['x-a: b\r\nx-b: c', 'x-a: b\r\ntransfer-encoding: chunked', 'x-a\r\nx-b: c', 'x a: b'],
  ...['x-a: \xe9', 'x-a: \0', ': b', 'cookie: a=1', 'cookie: b=2', 'x-a: b', 'x-b: c'],
  ...['payment-signature: a', 'payment_signature: a', 'x-payment: a', 'farebox-payer: a'],
]

/** What the text of a field, or of a body, may come to hold. */
const PIECES = [
  ...['\r\n', '\n', '\r', '\0', ' ', '\t', ':', ',', ';', '#', '?', '%', '/', '\\', '..', '//'],
  ...['%2e', '%2F', '%00', '\xe9', '\xff', '0\r\n\r\n', '3\r\nabc\r\n', 'A', 'chunked'],
  ...['GET /free/b HTTP/1.1\r\nHost: shop.test\r\n\r\n', ' HTTP/1.1\r\nX-A: b\r\n', 'https://a/'],
]

/** Of the corpus: those that are made of fields and data, and of frames that no request is read from. */
const bases = [...readHttp2Corpus().values()].flat().filter(({ repeat, send }) => {
  return repeat === undefined && send.every(step => 'fields' in step || 'data' in step)
})
const taken = bases.filter(({ seen }) => seen.length > 0)
const base = fc.oneof(fc.constantFrom(...bases), fc.constantFrom(...taken)).map(({ send }) => send)

const stream = fc.constantFrom(1, 1, 3, 5, 0, 2)
const ends = fc.boolean()
const inserted: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ data: fc.constantFrom('', 'abc', '0\r\n\r\n'), ends, stream }),
  fc.record({ fields: fc.subarray(FIELDS, { maxLength: 3 }), ends, stream }),
  fc.record({
    type: fc.constantFrom(FRAME.rstStream, FRAME.settings, FRAME.ping, FRAME.windowUpdate, 2, 77),
    flags: fc.constantFrom(0, 0, 1),
    payload: fc.constantFrom('', '\0\0\0\x08', '\0\0\x01\0', '\0\0\0\0\x10', '12345678'),
    stream,
  }),
)

interface Change {
  readonly kind: 'text' | 'field' | 'no field' | 'end' | 'insert' | 'drop' | 'repeat' | 'swap'
  readonly at: number
  readonly within: number
  readonly field: string
  readonly mutation: Mutation
  readonly step: Step
}

const change: fc.Arbitrary<Change> = fc.record({
  kind: fc.constantFrom(
    ...(['text', 'text', 'text', 'field', 'field', 'no field', 'end', 'insert', 'drop'] as const),
    ...(['repeat', 'swap'] as const),
  ),
  at: fc.nat({ max: 8 }),
  within: fc.nat({ max: 8 }),
  field: fc.constantFrom(...FIELDS),
  mutation: mutationOf(PIECES),
  step: inserted,
})

/** One or two conversations of the corpus on one connection, changed in a few places. */
export const changedConversations: fc.Arbitrary<Conversation> = fc
  .tuple(
    fc.array(base, { minLength: 1, maxLength: 2 }),
    fc.array(change, { minLength: 0, maxLength: 4 }),
  )
  .map(([[first = [], second = []], changes]) => {
    const last = Math.max(...first.map(step => ('stream' in step ? step.stream : 0)))
    const after = second.map(step =>
      'stream' in step ? { ...step, stream: step.stream + last + 1 } : step,
    )
    return changes.reduce<Conversation>(applyChange, [...first, ...after])
  })

function applyChange(steps: Conversation, change: Change): Conversation {
  const at = change.at % (steps.length + 1)
  const step = steps[at]
  if (step === undefined) return [...steps, change.step]
  const [before, after] = [steps.slice(0, at), steps.slice(at + 1)]
  switch (change.kind) {
    case 'insert':
      return [...before, change.step, step, ...after]
    case 'drop':
      return [...before, ...after]
    case 'repeat':
      return [...before, step, step, ...after]
    case 'swap':
      return [...before, ...after.slice(0, 1), step, ...after.slice(1)]
    default:
      return [...before, changeStep(step, change), ...after]
  }
}

function changeStep(step: Step, { kind, within, field, mutation }: Change): Step {
  if (kind === 'end' && 'ends' in step) return { ...step, ends: !step.ends }
  if ('data' in step) return { ...step, data: mutate(step.data, mutation) }
  if (!('fields' in step)) return step
  const at = within % Math.max(1, step.fields.length)
  const [before, text = '', after] = [
    step.fields.slice(0, at),
    step.fields[at],
    step.fields.slice(at + 1),
  ]
  if (kind === 'no field') return { ...step, fields: [...before, ...after] }
  const changed = kind === 'text' ? [mutate(text, mutation)] : [field, text]
  return { ...step, fields: [...before, ...changed, ...after] }
}
