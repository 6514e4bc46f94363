// The three parts of vega-util 2.1.3 that vega-interpreter 2.3.2 imports; licence beside it.
// Copyright (c) 2015-2023, University of Washington Interactive Data Lab.
export const DisallowedObjectProperties = new Set([...Object.getOwnPropertyNames(Object.prototype)
        .filter(name => typeof Object.prototype[name] === 'function'),
    '__proto__',
    'then']);
export function isString(_) {
    return typeof _ === 'string';
}
export const ascending = (_u, _v) => {
    let u = _u;
    let v = _v;
    return (u < v || u == null) && v != null ? -1
        : (u > v || v == null) && u != null ? 1
            : ((v = v instanceof Date ? +v : v), (u = u instanceof Date ? +u : u)) !== u && v === v ? -1
                : v !== v && u === u ? 1
                    : 0;
};
