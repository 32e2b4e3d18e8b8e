import numpy as np, math, warnings
warnings.simplefilter('error')
from npgpt.gradcheck import check, check_function, check_scalar, constant
r=np.random.default_rng(0)
def show(name, rep, want):
    if rep.ok is not want: print('BAD', name, 'want', want); print(rep)
    else: print('ok ', name, [(row.method,row.verdict,f'{row.error:.0e}') for row in rep.rows])
def f(x):
    c = x - x.mean(-1, keepdims=True)
    return (c / np.sqrt((c * c).mean(-1, keepdims=True) + 1e-5)).sum()
for s in range(8):
    x=np.random.default_rng(s).standard_normal((3, 8))
    show('A zeros', check_function(f, np.zeros_like, x), True)
    show('A 1e-17', check_function(f, lambda x: 0*x+1e-17, x), True)
    for c in (1,1e-3,1e-9): show(f'A {c}', check_function(f, lambda x: 0*x+c, x), False)
A, one = r.standard_normal((4, 6)), np.ones(6)
show('A opt', check_function(lambda w: ((A @ w - A @ one) ** 2).mean(), lambda w: A.T @ (A @ w - A @ one) / 2, one), True)
show('A opt bad', check_function(lambda w: ((A @ w - A @ one) ** 2).mean(), lambda w: A.T @ (A @ w - A @ one) / 2+1e-9, one), False)
from npgpt.layers.softmax import softmax_forward, softmax_backward
show('B', check(softmax_forward, softmax_backward, np.array([[0.,1.,-np.inf]])), True)
def ent(x):
    p=np.exp(x-x.real.max()); p=p/p.sum(); q=p[np.isfinite(x)]; return -(q*np.log(q)).sum()
def dent(x):
    m=np.isfinite(x); p=np.exp(x-x.max()); p=p/p.sum(); l=np.where(m,np.log(np.where(m,p,1)),0); H=-(p*l).sum(); return -p*(l+H)
print(dent(np.array([0,.3,-np.inf])))
show('B ent', check_function(ent, dent, np.array([0,.3,-np.inf])), True)
show('B ent bad', check_function(ent, lambda x: dent(x)*1.001, np.array([0,.3,-np.inf])), False)
x=np.array([1e-7,.2,.5])
show('C log', check_function(lambda x: np.log(x).sum(), lambda x: 1/x, x), True)
show('C log arr', check(lambda x: (np.log(x),x), lambda d,x: d/x, x), True)
show('C log bad', check(lambda x: (np.log(x),x), lambda d,x: d/(x+1e-8), x), False)
show('C asin', check(lambda x: (np.arcsin(x),x), lambda d,x: d/np.sqrt((1-x)*(1+x)), np.array([1-1e-7,.3])), True)
show('C sqrt', check(lambda x: (np.sqrt(x),x), lambda d,x: d/(2*np.sqrt(x)), np.array([1e-7,.3])), True)
show('C 1/x', check(lambda x: (1/x,x), lambda d,x: -d/x**2, np.array([1e-7,.3])), True)
def ce_forward(x, y):
    e = np.exp(x - x.real.max(1, keepdims=True)); p = e / e.sum(1, keepdims=True)
    t = np.eye(10)[y]
    return -(t * np.log(p)).sum() / len(y), (p, t)
def ce_backward(dout, cache):
    p, t = cache
    return dout * (p - t) / len(p), None
show('D', check(ce_forward, ce_backward, r.standard_normal((4,10)), r.integers(0,10,4)), True)
show('E', check(lambda p,t: (((p-t)**2).mean(), (p,t)), lambda d,c: (2*d*(c[0]-c[1])/c[0].size, None), r.standard_normal(5), constant(r.standard_normal(5))), True)
show('E bad', check(lambda p,t: (((p-t)**2).mean(), (p,t)), lambda d,c: (2*d*(c[0]-c[1])/c[0].size, None), r.standard_normal(5), r.standard_normal(5)), False)
class Square:
    def forward(s, x): s.x = x; return x ** 2
    def backward(s, d): s.dx = 2 * d * s.x; return s.dx
def ff(x): l = Square(); return l.forward(x), l
show('F', check(ff, lambda d, l: l.backward(d), r.standard_normal((2, 3))), True)
show('G list', check_function(lambda x: (x * x).sum(), lambda x: list(2 * x), r.standard_normal(4)), True)
show('G sin', check(lambda x: (np.sin(x),x), lambda d,x: d*np.cos(x), np.array([1e6, 1., -3e5])), True)
show('G big', check(lambda x: (x*x,x), lambda d,x: 2*d*x, np.array([1e150,1e150])), True)
show('H', check(lambda x: (np.sqrt((x*x).sum()),x), lambda d,x: d*x/np.sqrt((x*x).sum()), np.zeros(3)) if False else check_function(lambda x: np.sqrt((x*x).sum()), lambda x: np.full(3,np.nan), np.zeros(3)), False)
show('H0', check_function(lambda x: np.sqrt((x*x).sum()), np.zeros_like, np.zeros(3)), True)
try: check(lambda x: (1j * x, None), lambda d, c: 0 * d, np.ones(2)); print('BAD I')
except ValueError as e: print('ok I', e)
show('L', check(lambda x: (np.array([math.log(v.real) if not np.iscomplexobj(v) else math.log(v.real) for v in x]),x), lambda d,x: d/x, np.array([.02,.3])), True)
def aspos(x):
    assert (x.real>0).all(); return np.log(x), x
show('L2', check(aspos, lambda d,x: d/x, np.array([.02,.3,1e-5])), True)
def chol(a): return np.linalg.cholesky(a).diagonal().sum(), a
show('relu', check(lambda x: (np.maximum(x,0),x), lambda d,x: d*(x>0), np.array([0.,1,-1,.3,0])), True)
show('relu>=', check(lambda x: (np.maximum(x,0),x), lambda d,x: d*(x>=0), np.array([0.,1,-1,.3,0])), True)
show('relu bad', check(lambda x: (np.maximum(x,0),x), lambda d,x: d*(x>-2), np.array([0.,1,-1,.3,0])), False)
show('relu bad2', check(lambda x: (np.maximum(x,0),x), lambda d,x: 2*d*(x>=0), np.array([0.,1,-1,.3,0])), False)
show('abs', check(lambda x: (np.abs(x),x), lambda d,x: d*np.sign(x), np.array([0.,1,-1,.3,0])), True)
show('near', check(lambda x: (np.abs(x),x), lambda d,x: d*np.sign(x), np.array([1e-6,1,-1e-5,.3,0])), True)
show('near bad', check(lambda x: (np.abs(x),x), lambda d,x: -d*np.sign(x), np.array([1e-6,1e-5])), False)
show('scalar', check_scalar(lambda p: (p["w"] ** 2).sum()+p['a']['b'].sum()**3, {"w": np.array([1., 2.]),'a':{'b':np.ones(2)}}, {"w": np.array([2., 4.]),'a':{'b':np.full(2,12.)}}), True)
show('scalar bad', check_scalar(lambda p: (p["w"] ** 2).sum(), {"w": np.array([1., 2.])}, {"w": np.array([3., 6.])}), False)
W=r.standard_normal((40,30)); X=r.standard_normal((6,40))
lin=lambda x,w: (x@w,(x,w))
show('large', check(lin, lambda d,c: (d@c[1].T, c[0].T@d), X, W), True)
def badlin(d,c):
    g=c[0].T@d; g[3,4]*=1+1e-6; return d@c[1].T, g
show('large one wrong', check(lin, badlin, X, W), False)
show('f32', check(lambda x: (np.tanh(x.astype(np.float32)),x), lambda d,x: d*(1-np.tanh(x)**2), r.standard_normal(5)), True)
show('f32 bad', check(lambda x: (np.tanh(x.astype(np.float32)),x), lambda d,x: d*(1-.99*np.tanh(x)**2), r.standard_normal(5)), False)
show('f32 hidden', check(lambda x: ((np.tanh(x.astype(np.float32)).astype(float)*1.1).sum(),x), lambda d,x: 1.1*d*(1-np.tanh(x)**2), r.standard_normal(5)), True)
s=lambda x: np.exp(x-x.max(-1,keepdims=True))/np.exp(x-x.max(-1,keepdims=True)).sum(-1,keepdims=True)
def smf(x):
    e=np.exp(x-x.real.max(-1,keepdims=True)); p=e/e.sum(-1,keepdims=True); return p,p
def smb(d,p): return p*(d-(d*p).sum(-1,keepdims=True))
show('sat', check(smf, smb, np.array([[0.,40.,-3.],[1,2,3]])), True)
show('sat2', check(smf, smb, np.array([[0.,800.,-3.]])), True)
show('softmax sum', check_function(lambda x: smf(x)[0].sum(), lambda x: 0*x, r.standard_normal((2,4))), True)
show('1e-20', check_function(lambda x: 1e-20*(x*x).sum(), lambda x: 2e-20*x, r.standard_normal(4)), True)
show('1e-20 bad', check_function(lambda x: 1e-20*(x*x).sum(), lambda x: 2.1e-20*x, r.standard_normal(4)), False)
show('nonlinear', check(lambda x: (x*x,x), lambda d,x: 2*np.abs(d)*x, r.standard_normal(4)), False)
show('kw', check(lambda x, *, w: (x@w,(x,w)), lambda d,c: (d@c[1].T, c[0].T@d), r.standard_normal((2,3)), r.standard_normal((3,4))), True)
print(check(smf, lambda d,p: d*p*(1-p), np.array([[0.,1.],[1,2]])))
