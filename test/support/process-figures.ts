import { readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs'

/** What the kernel says of a process (Linux, proc(5)). */
export interface ProcessFigures {
  readonly residentBytes: number
  /** The most since its start, or since `forgetPeak`. */
  readonly peakBytes: number
  readonly descriptors: number
  /** Of the descriptors. */
  readonly sockets: number
}

export function figuresOf(pid: number): ProcessFigures {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const kilobytes = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]) * 1024
  const targets = readdirSync(`/proc/${pid}/fd`).map(fd => targetOf(`/proc/${pid}/fd/${fd}`))
  return {
    residentBytes: kilobytes('VmRSS'),
    peakBytes: kilobytes('VmHWM'),
    descriptors: targets.length,
    sockets: targets.filter(target => target.startsWith('socket:')).length,
  }
}

/** From now on the peak counts from what is resident now. */
export function forgetPeak(pid: number): void {
  writeFileSync(`/proc/${pid}/clear_refs`, '5')
}

/** A descriptor may be closed between the listing and the look. */
function targetOf(link: string): string {
  try {
    return readlinkSync(link)
  } catch {
    return ''
  }
}
