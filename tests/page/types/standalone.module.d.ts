// What the page uses of htm, Preact and its hooks; what a template makes is not looked into.
export const html: (strings: TemplateStringsArray, ...values: unknown[]) => any;
export function render(what: any, where: Element): void;
export function useState<T>(first: T | (() => T)): [T, (next: T | ((old: T) => T)) => void];
export function useEffect(effect: () => unknown, needs?: readonly unknown[]): void;
export function useLayoutEffect(effect: () => unknown, needs?: readonly unknown[]): void;
export function useMemo<T>(make: () => T, needs: readonly unknown[]): T;
export function useRef<T>(first: T): { current: T };
export function useErrorBoundary(): [Error | undefined, () => void];
