import { readFileSync } from 'node:fs'

/** Processes that a gateway has started, by their parent's process id; oldest first. */
export function workersOf(pid: number): number[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
  return children.split(' ').filter(Boolean).map(Number)
}
