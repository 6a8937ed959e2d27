import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { expect } from 'vitest'

const children = new Set<ChildProcess>()

/**
 * Starts a program that says "ready" and waits for a line; resolves with the way to let it go,
 * which resolves with the JSON that it answers.
 */
export async function lineUp<Answer>(
  program: string,
  parameters: readonly (string | number)[],
): Promise<() => Promise<Answer>> {
  const child = spawn(process.execPath, [program, ...parameters.map(String)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  children.add(child)
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  expect((await lines.next()).value).toBe('ready')
  return async () => {
    child.stdin.write('go\n')
    return JSON.parse((await lines.next()).value ?? '')
  }
}

export function killThoseInLine(): void {
  for (const child of children) child.kill('SIGKILL')
  children.clear()
}
