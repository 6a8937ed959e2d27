import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { buyer, seller } from '../support/accounts.ts'
import {
  afterTheWork,
  answers,
  cutOff,
  type Fault,
  hang,
  resetRead,
  resetUnread,
  tells,
  trickles,
} from '../support/faulty-facilitator.ts'
import {
  NOT_SENT,
  NOT_VERIFIED,
  PAID,
  RESTING,
  type Row,
  refused,
  UNKNOWN,
} from './facilitator-fault-outcomes.ts'

/**
 * What a facilitator can do wrong, and all that may come of it. "A facilitator that, asked to
 * verify (settle), ..." completes each row's name.
 */

/** What the rows need of the world around them, known only when they run. */
export interface Surroundings {
  /** A service that must see nothing. */
  elsewhere: string
  /** Of a payment that was for somebody, and not by the payer who is asked about. */
  strangersTransaction: string
}

export const surroundings: Surroundings = { elsewhere: '', strangersTransaction: '' }

/** Atomic units. */
export const PRICE = 1_000n
const HASH = `0x${'ab'.repeat(32)}`
export const VALID = { isValid: true, payer: buyer.address }
export const SETTLED = {
  success: true,
  transaction: HASH,
  network: 'eip155:84532',
  payer: buyer.address,
}
const REFUSED = { ...SETTLED, success: false, transaction: '' }
const INVALID = { isValid: false, invalidReason: 'fraud', payer: buyer.address }
const PAGE = { 'content-type': 'text/html' }
const HTML = '<html><h1>502 Bad Gateway</h1></html>'
/** More than the megabyte that is read of an answer, with what stands around it. */
const TOO_LONG = 'x'.repeat(1024 * 1024)

const redirected: Fault = call =>
  answers(307, '', { location: `${surroundings.elsewhere}/verify` })(call)

/** Faults that leave nothing to believe, whatever was asked. `good` is what a liar would say. */
function unbelievable(good: object): readonly [name: string, fault: Fault, endless?: true][] {
  return [
    ['hangs', hang, true],
    ['resets the connection unread', resetUnread],
    ['resets the connection when it has read', resetRead],
    ['cuts its answer off', cutOff(good)],
    ['trickles its answer', trickles(good, 50), true],
    ['answers 500', answers(500, { error: 'boom' })],
    ['answers 500 with a good body', answers(500, good)],
    ['answers 502 with a page', answers(502, HTML, PAGE)],
    ['answers 503 and asks to wait', answers(503, { error: 'busy' }, { 'retry-after': '7' })],
    ['answers 202 with a good body', answers(202, good)],
    ['redirects', redirected],
    ['answers malformed JSON', answers(200, JSON.stringify(good).slice(0, -1))],
    ['answers with two JSON texts', answers(200, JSON.stringify(good).repeat(2))],
    ['answers with a list', answers(200, [good])],
    ['answers null', answers(200, null)],
    ['answers nothing', answers(200, '')],
    ['answers a page with status 200', answers(200, HTML, PAGE)],
    ['answers text for booleans', answers(200, { ...good, isValid: 'true', success: 'true' })],
    ['answers numbers for booleans', answers(200, { ...good, isValid: 1, success: 1 })],
    ['answers the other question', answers(200, { valid: true, settled: true, ok: true })],
    ['answers more than a mebibyte', answers(200, { ...good, padding: TOO_LONG })],
  ]
}

export const verifyRows: readonly Row[] = [
  ...unbelievable(VALID).map(([name, fault, endless]) => {
    const rests = name.endsWith('asks to wait')
    const seen = rests ? { ...NOT_VERIFIED, retryAfter: '7', again: RESTING } : NOT_VERIFIED
    return { name, fault, seen, ...(endless && { endless }), ...(rests && { rests }) }
  }),
  {
    name: 'answers 429 with Retry-After',
    fault: answers(429, { error: 'slow down' }, { 'retry-after': '7' }),
    seen: { ...NOT_VERIFIED, retryAfter: '7', again: RESTING },
    rests: true,
  },
  {
    name: 'answers 429 and asks to wait for a year',
    fault: answers(429, VALID, { 'retry-after': '31536000' }),
    seen: { ...NOT_VERIFIED, retryAfter: '600', again: RESTING },
    rests: true,
  },
  { name: 'answers 401', fault: answers(401, { error: 'who?' }), seen: NOT_VERIFIED },
  { name: 'answers 403 with a good body', fault: answers(403, VALID), seen: NOT_VERIFIED },
  {
    name: 'does its work and loses the answer',
    fault: afterTheWork(resetRead),
    seen: NOT_VERIFIED,
  },
  { name: 'answers JSON as a page', fault: tells(good => good, PAGE), seen: PAID },
  {
    name: 'answers with members that nobody knows',
    fault: tells(good => ({ ...good, invalidReason: null, __proto__: { x: 1 }, fee: '1%' })),
    seen: PAID,
  },
  {
    name: 'names another payer',
    fault: tells(good => ({ ...good, payer: seller.address })),
    seen: PAID,
  },
  {
    name: 'says that a good payment is invalid',
    fault: answers(200, INVALID),
    seen: refused('fraud'),
  },
  {
    name: 'says so with status 400',
    fault: answers(400, INVALID),
    seen: refused('fraud'),
  },
  {
    name: 'gives a reason that is a header, a secret and a novel',
    fault: answers(200, {
      ...INVALID,
      invalidReason: `fraud\r\nSet-Cookie: a\n${TOO_LONG.slice(-4000)}`,
    }),
    seen: refused('fraud'),
  },
  {
    name: 'gives no reason',
    fault: answers(200, { isValid: false }),
    seen: refused('unexpected_verify_error'),
  },
  {
    name: 'calls an underpayment valid',
    fault: answers(200, VALID),
    value: PRICE - 1n,
    seen: {
      ...refused('invalid_exact_evm_payload_authorization_value'),
      asked: [0, 0],
      again: /^402 invalid_exact_evm_payload_authorization_value$/,
    },
  },
  {
    name: 'calls the payment of somebody without money valid',
    fault: answers(200, VALID),
    signer: () => privateKeyToAccount(generatePrivateKey()),
    seen: {
      ...refused('invalid_exact_evm_insufficient_balance'),
      header: 'invalid_exact_evm_insufficient_balance',
      upstream: [1, 0],
      row: 'released',
      asked: [1, 1],
      again: /^402 .*insufficient/,
    },
  },
]

export const settleRows: readonly Row[] = [
  ...unbelievable(SETTLED).map(([name, fault, endless]) => {
    const rests = name.endsWith('asks to wait')
    return { name, fault, seen: UNKNOWN, ...(endless && { endless }), ...(rests && { rests }) }
  }),
  {
    name: 'answers 429 with Retry-After',
    fault: answers(429, { error: 'slow down' }, { 'retry-after': '7' }),
    seen: { ...NOT_SENT, retryAfter: '7', again: RESTING },
    rests: true,
  },
  { name: 'answers 401', fault: answers(401, { error: 'who?' }), seen: NOT_SENT },
  { name: 'answers 403', fault: answers(403, HTML), seen: NOT_SENT },
  { name: 'answers 403 with a good body', fault: answers(403, SETTLED), seen: UNKNOWN },
  {
    name: 'does its work and loses the answer',
    fault: afterTheWork(resetRead),
    seen: { ...UNKNOWN, moved: true },
  },
  {
    name: 'does its work and answers 500',
    fault: afterTheWork(answers(500, { error: 'boom' })),
    seen: { ...UNKNOWN, moved: true },
  },
  { name: 'answers JSON as a page', fault: tells(good => good, PAGE), seen: PAID },
  {
    name: 'tells of a success without a transaction',
    fault: tells(({ transaction: _, ...good }) => good),
    seen: { ...UNKNOWN, moved: true },
  },
  {
    name: 'tells of a success with an empty transaction',
    fault: answers(200, { ...SETTLED, transaction: '' }),
    seen: UNKNOWN,
  },
  {
    name: 'tells of a transaction that is no hash',
    fault: answers(200, { ...SETTLED, transaction: 'queued' }),
    seen: UNKNOWN,
  },
  {
    name: 'has sent the payment and waits',
    fault: tells(good => ({ ...good, success: false, errorReason: 'settlement_pending' })),
    seen: { ...UNKNOWN, moved: true },
  },
  {
    name: 'fails without saying when',
    fault: answers(200, { ...REFUSED, errorReason: 'unexpected_settle_error' }),
    seen: UNKNOWN,
  },
  { name: 'fails without a reason', fault: answers(200, REFUSED), seen: UNKNOWN },
  {
    name: 'says that the payment was used already',
    fault: answers(200, { ...REFUSED, errorReason: 'invalid_exact_evm_nonce_already_used' }),
    seen: UNKNOWN,
  },
  {
    name: 'refuses before it sends',
    fault: answers(200, { ...REFUSED, errorReason: 'insufficient_funds' }),
    seen: {
      ...NOT_SENT,
      client: '402 insufficient_funds',
      retryAfter: null,
      header: 'insufficient_funds',
    },
  },
]

/** What a facilitator can make us believe as long as no chain is asked. */
export const believedRows: readonly Row[] = [
  {
    name: "tells of somebody else's transaction",
    fault: call =>
      answers(200, { ...SETTLED, transaction: surroundings.strangersTransaction })(call),
    seen: { ...PAID, moved: false },
  },
  {
    name: 'tells of a transaction that nobody has sent',
    fault: answers(200, SETTLED),
    seen: { ...PAID, moved: false },
  },
  {
    name: 'moves the money and says that it refused',
    fault: tells(() => ({ ...REFUSED, errorReason: 'insufficient_funds' })),
    seen: {
      ...NOT_SENT,
      client: '402 insufficient_funds',
      retryAfter: null,
      header: 'insufficient_funds',
      moved: true,
      again: /^402 .*nonce/,
    },
  },
]
