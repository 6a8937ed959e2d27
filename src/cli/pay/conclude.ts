import { EXIT_FAILED, EXIT_PAYMENT_REFUSED } from '../exit-code.ts'
import type { Failure } from '../failure.ts'
import { foreignText } from '../foreign-text.ts'
import { type Output, styled } from '../output.ts'
import { decodeChallenge } from './challenge.ts'
import { priceText } from './choose-offer.ts'
import { saveReceipt, statusFailure, writeBody } from './deliver.ts'
import { headerValue, readText, type WebAnswer } from './http.ts'
import { type Purchase, readSettlement, receiptOf } from './receipt.ts'
import type { Answered, Submission } from './submit.ts'

export interface Ending {
  readonly purchase: Purchase
  /** Unix seconds after which nobody can take the payment. */
  readonly validBefore: number
  readonly receiptFile: string | null
  readonly output: Output
}

const CHALLENGE_BODY_BYTES_MAX = 1024 * 1024

/** What a payment that has left came to. Null when the body went out and all is well. */
export async function conclude(submission: Submission, ending: Ending): Promise<Failure | null> {
  if (submission.kind === 'answered') return concludeAnswer(submission, ending)
  if (submission.kind === 'pending') {
    const message = `After ${submission.tries} tries it is not known whether the money moved.`
    return fateUnknown('settlement_pending', message, ending)
  }
  if (submission.mayHaveArrived) {
    const reason = foreignText(submission.reason)
    const message = `The connection broke after the payment was sent: ${reason}`
    return fateUnknown('outcome_unknown', message, ending)
  }
  return {
    code: 'unreachable',
    message: `The server could not be reached again: ${foreignText(submission.reason)}`,
    fix: 'The payment never left. Run it again.',
    exitCode: EXIT_FAILED,
  }
}

async function concludeAnswer(answered: Answered, ending: Ending): Promise<Failure | null> {
  const { answer, problem } = answered
  if (answer.status === 402) return refusal(answer, ending)
  const reported = readSettlement(answer.headers)
  const settled = reported?.success === true ? reported : null
  const isBought = settled !== null || answer.status < 300
  // Before the body: the money has moved, and the body may be endless or break off.
  const receiptLost = isBought ? await giveReceipt(settled, ending) : null
  const bodyLost = await writeBody(answer, ending.output.stdout)
  return bodyLost ?? statusFailure(answer, problem) ?? receiptLost
}

async function giveReceipt(
  settled: ReturnType<typeof readSettlement>,
  { purchase, receiptFile, output }: Ending,
): Promise<Failure | null> {
  const receipt = receiptOf(purchase, settled)
  output.record(receipt, () => {
    const price = priceText(purchase.chosen.offer, purchase.chosen.token)
    const transaction = receipt.transaction ?? 'not reported by the server'
    const paid = styled('green', `Paid ${price}`, output.stderr)
    return `${paid} on ${receipt.network}. Transaction: ${transaction}`
  })
  return receiptFile === null ? null : saveReceipt(receiptFile, receipt)
}

async function refusal(answer: WebAnswer, ending: Ending): Promise<Failure> {
  const { offer, token } = ending.purchase.chosen
  const header = headerValue(answer.headers, 'payment-required')
  const body = (await readText(answer.body, CHALLENGE_BODY_BYTES_MAX)) ?? ''
  const decoded = decodeChallenge({ header, body })
  const challenge = decoded.kind === 'challenge' ? decoded.challenge : null
  const reason =
    readSettlement(answer.headers)?.errorReason ?? challenge?.error ?? 'no reason given'
  const again = challenge?.offers.find(
    other => other.networkId === offer.networkId && other.asset === offer.asset,
  )
  const hasNewPrice = again !== undefined && again.amount !== offer.amount
  const change = hasNewPrice
    ? ` It now asks ${priceText(again, token)} instead of ${priceText(offer, token)}.`
    : ''
  return {
    code: 'payment_refused',
    message: `The server refused the payment: ${foreignText(reason)}.${change}`,
    fix: `No second payment was signed. ${expiry(ending)} Run it again to be asked anew.`,
    exitCode: EXIT_PAYMENT_REFUSED,
    details: {
      reason: foreignText(reason),
      ...(hasNewPrice ? { amount: again.amount.toString() } : {}),
    },
  }
}

function fateUnknown(code: string, message: string, ending: Ending): Failure {
  const { chosen, payer } = ending.purchase
  const network = chosen.offer.networkId
  return {
    code,
    message,
    fix:
      `The payment may have been taken. ${expiry(ending)} Before you run this again, look ` +
      `whether ${priceText(chosen.offer, chosen.token)} left ${payer} on ${network}.`,
    exitCode: EXIT_FAILED,
    details: { payer, network, validBefore: ending.validBefore },
  }
}

function expiry({ validBefore }: Ending): string {
  return `The one that was sent can be taken until ${new Date(validBefore * 1000).toISOString()}.`
}
