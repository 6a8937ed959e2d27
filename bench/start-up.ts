import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { median } from './duel.ts'
import type { FareboxFiles } from './farebox.ts'
import { waitForAnswer } from './load.ts'
import type { World } from './world.ts'

export interface StartUp {
  /** From the start of the process until /readyz says yes; median. */
  readonly readyMs: number
  readonly limitMs: number
  readonly ok: boolean
}

const LIMIT_MS = 500
const POLL_MS = 2

/** Starts a gateway again and again, as users start it. */
export async function measureStartUp(world: World, times: number): Promise<StartUp> {
  const files = await world.configureFarebox()
  const all: number[] = []
  // The first one creates the database.
  for (let time = 0; time <= times; time++) {
    const readyMs = await startOnce(files)
    if (time > 0) all.push(readyMs)
  }
  const readyMs = median(all)
  return { readyMs, limitMs: LIMIT_MS, ok: readyMs < LIMIT_MS }
}

async function startOnce({ program, adminPort, outputFile }: FareboxFiles): Promise<number> {
  const output = openSync(outputFile, 'a')
  const begin = performance.now()
  const child = spawn(process.execPath, program, { stdio: ['ignore', output, output] })
  closeSync(output)
  const killNow = () => void child.kill('SIGKILL')
  process.on('exit', killNow)
  try {
    await waitForAnswer(adminPort, { path: '/readyz', status: 200, pauseMs: POLL_MS })
    return performance.now() - begin
  } finally {
    const gone = once(child, 'exit')
    child.kill('SIGTERM')
    await gone
    process.off('exit', killNow)
  }
}
