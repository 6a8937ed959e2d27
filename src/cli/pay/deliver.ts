import { writeFile } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'
import { EXIT_FAILED, EXIT_PAYMENT_REFUSED } from '../exit-code.ts'
import type { Failure } from '../failure.ts'
import { foreignText } from '../foreign-text.ts'
import type { OutputStream } from '../surroundings.ts'
import type { WebAnswer } from './http.ts'
import type { Problem } from './problem.ts'
import type { PrintedReceipt } from './receipt.ts'

/** Passes the body on as it arrives. Null when it all went out, or nobody wanted the rest. */
export async function writeBody(answer: WebAnswer, stdout: OutputStream): Promise<Failure | null> {
  try {
    await pipeline(answer.body, stdout, { end: false })
    return null
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EPIPE') return null
    return {
      code: 'truncated_body',
      message: `The body broke off: ${error instanceof Error ? error.message : String(error)}`,
      fix: 'What was printed is incomplete. Ask the seller, and name the receipt if you paid.',
      exitCode: EXIT_FAILED,
    }
  }
}

/** What to say of a status that is not a success; null for one that is. */
export function statusFailure(answer: WebAnswer, problem: Problem | null): Failure | null {
  if (answer.status < 300) return null
  if (answer.status < 400) return redirectFailure(answer)
  if (problem !== null) return problemFailure(answer, problem)
  return {
    code: 'http_status',
    message: `The server answered ${answer.status}.`,
    fix: 'What it says is in the body.',
    exitCode: EXIT_FAILED,
    details: { status: answer.status },
  }
}

function redirectFailure(answer: WebAnswer): Failure {
  const location = foreignText(String(answer.headers.location ?? 'nowhere'), 2000)
  return {
    code: 'redirected',
    message: `The server answered ${answer.status}: it sends you to ${location}`,
    fix: 'Redirects are not followed, because a payment is for the server that asks. Pay that URL.',
    exitCode: EXIT_FAILED,
    details: { status: answer.status },
  }
}

function problemFailure(answer: WebAnswer, problem: Problem): Failure {
  const refused = /^payment_|^malformed_payment$/.test(problem.code)
  return {
    code: foreignText(problem.code),
    message: foreignText(problem.message ?? `The server answered ${answer.status}.`, 500),
    fix: refused
      ? 'The server did not take this payment. Do not sign another before you know why.'
      : 'What else the server says is in the body. Try again later.',
    exitCode: refused ? EXIT_PAYMENT_REFUSED : EXIT_FAILED,
    details: { status: answer.status },
  }
}

/** Writes the receipt where `--receipt` says. The money has moved by now, so it fails softly. */
export async function saveReceipt(path: string, receipt: PrintedReceipt): Promise<Failure | null> {
  try {
    await writeFile(path, `${JSON.stringify(receipt)}\n`)
    return null
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    return {
      code: 'receipt_not_written',
      message: `The receipt could not be written: ${reason}`,
      fix: 'The payment stands. Keep the receipt that was printed.',
      exitCode: EXIT_FAILED,
    }
  }
}
