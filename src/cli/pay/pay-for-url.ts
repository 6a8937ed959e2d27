import { constants } from 'node:fs'
import { access } from 'node:fs/promises'
import { dirname } from 'node:path'
import { loadNetworkRegistry } from '../../networks/registry.ts'
import { EXIT_FAILED } from '../exit-code.ts'
import { type Failed, type Failure, failed, usageFailure } from '../failure.ts'
import { foreignText } from '../foreign-text.ts'
import type { Output } from '../output.ts'
import { type Challenge, decodeChallenge } from './challenge.ts'
import { type ChosenOffer, chooseOffer, type Preference } from './choose-offer.ts'
import { conclude } from './conclude.ts'
import { askConsent, offerText } from './consent.ts'
import { statusFailure, writeBody } from './deliver.ts'
import { createSend, headerValue, readText, type WebAnswer, type WebRequest } from './http.ts'
import { type KeySource, readPayerKey } from './payer-key.ts'
import { type SignedPayment, signPayment } from './sign.ts'
import { readAnswer, submitPayment } from './submit.ts'

export interface PayOrder {
  readonly request: WebRequest
  readonly preference: Preference
  readonly keySource: KeySource
  /** Pay without asking. */
  readonly yes: boolean
  /** A person sits at a terminal and can be asked. */
  readonly canAsk: boolean
  /** Where the key may be. */
  readonly env: NodeJS.ProcessEnv
  /** How long to wait for a settlement whose fate is not known. */
  readonly waitMs: number
  readonly receiptFile: string | null
}

const CHALLENGE_BODY_BYTES_MAX = 1024 * 1024

/** Fetches a URL, paying for it at most once. Null when the body went out and all is well. */
export async function payForUrl(order: PayOrder, output: Output): Promise<Failure | null> {
  const { send, close } = createSend()
  try {
    const unpaid = await send(order.request)
    if (unpaid.kind === 'no-answer') return unreachable(order.request.url, unpaid.reason)
    if (unpaid.status !== 402) return await passOn(unpaid, output)

    const quote = await readQuote(unpaid, order)
    if (quote.kind === 'failed') return quote.failure
    output.note(offerText(quote, order.request.url, output.stderr))

    const authorised = await authorise(quote, order)
    if (authorised.kind === 'failed') return authorised.failure

    const submission = await submitPayment(order.request, authorised.payment.headers, {
      send,
      waitMs: order.waitMs,
      onWait: pauseMs =>
        output.note(
          `It is not known yet whether the payment went through. ` +
            `The same payment is sent again in ${pauseMs / 1000} s.`,
        ),
    })
    const purchase = {
      url: order.request.url,
      version: quote.challenge.version,
      chosen: quote.chosen,
      payer: authorised.payer,
    }
    const { validBefore } = authorised.payment
    const { receiptFile } = order
    return await conclude(submission, { purchase, validBefore, receiptFile, output })
  } finally {
    await close()
  }
}

async function passOn(unpaid: WebAnswer, output: Output): Promise<Failure | null> {
  const { answer, problem } = await readAnswer(unpaid)
  return (await writeBody(answer, output.stdout)) ?? statusFailure(answer, problem)
}

interface Quote {
  readonly kind: 'quote'
  readonly challenge: Challenge
  readonly chosen: ChosenOffer
}

async function readQuote(answer: WebAnswer, order: PayOrder): Promise<Quote | Failed> {
  const body = (await readText(answer.body, CHALLENGE_BODY_BYTES_MAX)) ?? ''
  const header = headerValue(answer.headers, 'payment-required')
  const decoded = decodeChallenge({ header, body })
  if (decoded.kind === 'malformed') {
    return failed({
      code: 'malformed_challenge',
      message: `The server answered 402, but it does not say how to pay: ${decoded.reason}.`,
      fix: 'Nothing was signed. Tell the seller: this is not what the x402 specification asks for.',
      exitCode: EXIT_FAILED,
    })
  }
  const { challenge } = decoded
  const chosen = chooseOffer(challenge, order.preference, loadNetworkRegistry())
  return chosen.kind === 'failed' ? chosen : { kind: 'quote', challenge, chosen }
}

interface Authorised {
  readonly kind: 'authorised'
  readonly payment: SignedPayment
  readonly payer: string
}

/** Everything that can still say no is asked before anything is signed. */
async function authorise(quote: Quote, order: PayOrder): Promise<Authorised | Failed> {
  const key = await readPayerKey(order.keySource, order.env)
  if (key.kind === 'failed') return key
  if (order.receiptFile !== null && !(await isWritable(order.receiptFile))) {
    return usageFailure(
      'receipt_not_writable',
      `The receipt cannot be written to ${order.receiptFile}.`,
      'Nothing was signed. Name a file in a directory that exists and that you may write to.',
    )
  }
  const consent = await askConsent(quote.chosen, order)
  if (consent.kind === 'failed') return consent
  const payment = await signPayment(quote.challenge, quote.chosen, key.account)
  if (payment.kind === 'failed') return payment
  return { kind: 'authorised', payment, payer: key.account.address }
}

async function isWritable(file: string): Promise<boolean> {
  const writable = (path: string) =>
    access(path, constants.W_OK).then(
      () => true,
      () => false,
    )
  const exists = await access(file).then(
    () => true,
    () => false,
  )
  return exists ? writable(file) : writable(dirname(file))
}

function unreachable(url: URL, reason: string): Failure {
  return {
    code: 'unreachable',
    message: `${url.host} did not answer: ${foreignText(reason)}`,
    fix: 'Nothing was signed. Check the address and that the server runs.',
    exitCode: EXIT_FAILED,
  }
}
