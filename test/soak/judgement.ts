import { isFlat, type Sample, type Tolerance, type Trend, trendOf } from './flatness.ts'

/** What must not grow in a gateway. */
export interface Figure {
  readonly name: string
  /** Empty where things are counted. */
  readonly unit: string
  readonly tolerance: Tolerance
}

export const FIGURES = {
  // A tenth of it would hide 5 MB a minute.
  resident: { name: 'resident', unit: 'MB', tolerance: { share: 0.05, slack: 12 } },
  heap: { name: 'heap', unit: 'MB', tolerance: { share: 0.1, slack: 4 } },
  external: { name: 'buffers', unit: 'MB', tolerance: { share: 0.1, slack: 4 } },
  handles: { name: 'handles', unit: '', tolerance: { share: 0.1, slack: 10 } },
  sockets: { name: 'sockets', unit: '', tolerance: { share: 0.1, slack: 10 } },
  descriptors: { name: 'descriptors', unit: '', tolerance: { share: 0.1, slack: 10 } },
} as const satisfies Record<string, Figure>

export type FigureName = keyof typeof FIGURES
export const FIGURE_NAMES = Object.keys(FIGURES) as FigureName[] // its own keys

/** All figures at one moment. */
export type Look = Readonly<Record<FigureName, number>>

/** How often a soak of so many seconds looks. */
export function lookEverySeconds(seconds: number): number {
  return Math.max(2, Math.min(10, seconds / 60))
}

/** Until the code is compiled, the pools are full and the store has its pages. */
export function warmUpSeconds(seconds: number): number {
  return Math.min(120, seconds / 4)
}

export interface Verdict {
  readonly figure: Figure
  readonly trend: Trend
  readonly isFlat: boolean
}

/**
 * Judges a soak of so many seconds by what was seen in it.
 *
 * @throws RangeError when it was too short to say anything.
 */
export function judge(
  looks: readonly { readonly seconds: number; readonly found: Look }[],
  seconds: number,
): readonly Verdict[] {
  return FIGURE_NAMES.map(name => {
    const samples = looks.map(({ seconds, found }): Sample => ({ seconds, value: found[name] }))
    const figure = FIGURES[name]
    const trend = trendOf(samples, warmUpSeconds(seconds))
    return { figure, trend, isFlat: isFlat(trend, figure.tolerance) }
  })
}
