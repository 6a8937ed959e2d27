import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { PROBLEMS, type Problem } from '../src/flow/problems.ts'
import type { SolanaFlaw } from '../src/x402/check-outcome.ts'

/** docs/errors.md: every code that callers or operators can meet, made from the code itself. */
export function errorsDocument(): string {
  const problems: [string, Problem][] = Object.entries(PROBLEMS)
  return `<!-- Made by "npm run generate" from src/flow/problems.ts and the error classes. Do not edit. -->

# Errors

Codes are stable: tell errors apart by \`code\`, never by their text.

## What callers get

Every error body but the 402's is \`application/problem+json\` (RFC 9457) with these members: \`type\`
(\`urn:farebox:problem:<code>\`), \`title\`, \`status\`, \`code\`, \`cure\` and sometimes \`detail\`.

| status | code | what happened | what to do | Retry-After |
|---|---|---|---|---|
${problems.map(([code, problem]) => problemRow(code, problem)).join('\n')}

## The 402

Its body is the x402 v1 object and its \`PAYMENT-REQUIRED\` header the v2 object in base64. The
member \`error\` of both is \`payment_required\` when no payment came, else why the payment was
refused: one of the x402 specification's error codes, found by us or said by the facilitator.

| error | what to look at |
|---|---|
${REFUSALS.map(([code, cure]) => `| \`${code}\` | ${cure} |`).join('\n')}

## What operators get

In logs, and from \`farebox\` when it is piped (\`{"error":{"code",…}}\` on standard error).

| code | when |
|---|---|
${operatorErrors()
  .map(({ code, meaning }) => `| \`${code}\` | ${meaning} |`)
  .join('\n')}

On the command line only:

| code | when |
|---|---|
${COMMAND_LINE.map(([code, meaning]) => `| \`${code}\` | ${meaning} |`).join('\n')}
`
}

/** Codes of the verbs in src/cli. */
const COMMAND_LINE: readonly (readonly [code: string, meaning: string])[] = [
  ['usage', 'The command or an option is not one that farebox knows.'],
  ['internal', 'A defect in farebox.'],
  ['node_too_old', 'Node.js is older than farebox needs.'],
  ['unhealthy', 'healthcheck: the gateway did not answer, or not with 200.'],
  ['over_limit', 'pay: every offer costs more than --max. Nothing was signed.'],
  ['unknown_token', 'pay: the decimals of the offered token are not known. Nothing was signed.'],
  ['bad_limit', 'pay: the limit is finer than the token can carry, or not a number.'],
  ['nothing_payable', 'pay: no offer has a scheme and a network that this program can pay.'],
  ['bad_data', 'pay: the file after -d @ cannot be read.'],
  ['no_key', 'pay: no private key was found where it was said to be.'],
  ['bad_key', 'pay: what was found is not a private key. It is never printed.'],
  ['not_confirmed', 'pay: paying needs a yes, and there is no terminal to ask at.'],
  ['declined', 'pay: the answer was no. Nothing was signed.'],
  ['cannot_sign', 'pay: the payment could not be signed.'],
  ['receipt_not_writable', 'pay: the file after --receipt cannot be written. Nothing was signed.'],
  ['receipt_not_written', 'pay: paid, but the receipt could not be written.'],
  ['malformed_challenge', 'pay: the 402 is not one that the x402 specification allows.'],
  ['payment_refused', 'pay: the server refused the payment, and says that nothing was charged.'],
  ['outcome_unknown', 'pay: the payment was sent, and the server does not know its fate.'],
  ['redirected', 'pay: the server sent us elsewhere. A payment is for the server that asked.'],
  ['http_status', 'pay: the server answered with an error of its own.'],
  ['unreachable', 'pay: the server could not be reached.'],
  ['no_ledger', 'ledger: the store of the configuration does not exist, or only in memory.'],
  ['no_such_row', 'ledger show: no row has this id or transaction.'],
  ['bad_filter', 'ledger: the address after --payer has a slip in it.'],
  ['bad_block', 'ledger reconcile: it is not clear which network --from-block is meant for.'],
  ['export_not_written', 'ledger export: the file could not be written, or not as a whole.'],
  ['truncated_body', 'pay: the response broke off in the middle.'],
]

/** Refusals that we make ourselves; a facilitator may say any other code of the specification. */
const REFUSALS: readonly (readonly [code: string, cure: string])[] = [
  ['invalid_network', 'None of the offers is on the network that the payment names.'],
  ['unsupported_scheme', 'None of the offers on that network has the scheme.'],
  ['invalid_payment_requirements', 'Token, receiver or amount are not those of an offer.'],
  ['invalid_payload', "The payload is not one of the offer's transfer method."],
  ['invalid_exact_evm_payload_recipient_mismatch', 'The signed receiver is not `payTo`.'],
  ['invalid_exact_evm_payload_authorization_value', 'The signed amount is not the price.'],
  ['invalid_exact_evm_payload_authorization_valid_after', 'The payment is not valid yet.'],
  [
    'invalid_exact_evm_payload_authorization_valid_before',
    'The payment ends before the request could be served and settled. Sign a fresh one.',
  ],
  ['invalid_exact_svm_fee_payer_mismatch', "The fee payer is not the offer's `extra.feePayer`."],
  ...solanaFlaws([
    ['transaction_could_not_be_decoded', 'It is no legacy or version 0 transaction in base64.'],
    ['signature_invalid', 'The signature is not of who the money comes from.'],
    ['excessive_signers', 'Others than the fee payer and the payer sign.'],
    ['transaction_instructions_length', 'There are fewer than 3 instructions, or over 7.'],
    ['transaction_instructions_compute_limit_instruction', 'The first sets no compute limit.'],
    ['transaction_instructions_compute_price_instruction', 'The second sets no compute price.'],
    [
      'transaction_instructions_compute_price_instruction_too_high',
      'The compute price is over 5,000,000 microlamports.',
    ],
    ['no_transfer_instruction', 'The third is no TransferChecked of a token program.'],
    ['unknown_optional_instruction', 'Behind it stands more than Memo and Lighthouse.'],
    [
      'transaction_fee_payer_transferring_funds',
      'An instruction uses the account of the fee payer.',
    ],
    ['mint_mismatch', 'Mint, its decimals or its token program are not those of the offer.'],
    ['recipient_mismatch', 'The money does not go to the associated token account of `payTo`.'],
    ['amount_mismatch', 'The signed amount is not the price.'],
  ]),
]

function solanaFlaws(flaws: readonly (readonly [flaw: SolanaFlaw, cure: string])[]) {
  return flaws.map(([flaw, cure]) => [`invalid_exact_svm_payload_${flaw}`, cure] as const)
}

function problemRow(code: string, problem: Problem): string {
  const retry = problem.retryAfterSeconds === undefined ? '' : `${problem.retryAfterSeconds} s`
  return `| ${problem.status} | \`${code}\` | ${problem.title} | ${problem.cure} | ${retry} |`
}

const ERROR_CLASS =
  /\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\s*export class \w+ extends FareboxError \{\s*readonly code = '(\w+)'/g

/** The error classes under src/, each with the first sentence of its docstring. */
function operatorErrors(): { code: string; meaning: string }[] {
  const root = fileURLToPath(new URL('../src', import.meta.url))
  const files = readdirSync(root, { recursive: true, encoding: 'utf8' })
  return files
    .filter(file => file.endsWith('.ts'))
    .flatMap(file => [...readFileSync(join(root, file), 'utf8').matchAll(ERROR_CLASS)])
    .map(([, doc = '', code = '']) => ({ code, meaning: firstParagraph(doc) }))
    .sort((one, other) => one.code.localeCompare(other.code))
}

function firstParagraph(doc: string): string {
  const text = doc.replace(/^\s*\* ?/gm, '').trim()
  return (text.split(/\n\s*\n|\n@/)[0] ?? '').replace(/\s+/g, ' ').trim()
}
