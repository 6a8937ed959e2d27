/**
 * A process for tests to kill or to starve. Claims one payment after another, eight at a time, and
 * writes a line for every answer, but only after it got it. Starts over at each line on stdin.
 *
 *     node claim-in-a-loop.ts FILE
 */
import { writeSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { unixMs } from '../../src/core/time.ts'
import { openSqliteLedger } from '../../src/ledger/sqlite.ts'
import { claimRequest } from './claim-fixtures.ts'

const AT_ONCE = 8

const [, , path = ''] = process.argv
const ledger = await openSqliteLedger({ path })
let keys = 0

async function claimUntilItFails(): Promise<void> {
  try {
    for (;;) await claimOne()
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : error
    say(`failed ${String(code)}`)
  }
}

async function claimOne(): Promise<void> {
  const key = `key-${keys++}`
  const heldUntil = unixMs(Date.now() + 3_600_000)
  const { kind } = await ledger.claim({
    ...claimRequest({ key, heldUntil }),
    payload: 'x'.repeat(1500),
  })
  say(`${kind} ${key}`)
}

function say(line: string): void {
  writeSync(1, `${line}\n`)
}

for await (const _line of createInterface({ input: process.stdin })) {
  await Promise.all(Array.from({ length: AT_ONCE }, claimUntilItFails))
  say('stopped')
}
